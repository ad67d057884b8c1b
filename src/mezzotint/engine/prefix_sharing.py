"""Requests that are equal but for guidance which is not yet active: one trajectory up to there, then several."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import fields
from operator import attrgetter

import numpy as np

from mezzotint.engine.trajectory import Trajectory
from mezzotint.guidance import Guidance
from mezzotint.planning import Plan
from mezzotint.request import Request
from mezzotint.schedule import Floats

Calls = tuple[Hashable, ...]  # what guidance does at each network call


def guidance_calls(plan: Plan, guidance: Guidance) -> Calls:
    """All that distinguishes a call from the same call of a request that differs in its guidance."""
    nothing = [()] * plan.evaluations
    adaptive = np.zeros_like(plan.adaptive) if guidance.mixes else plan.adaptive  # it heeds no mixes
    mixes = [(mix.prompt,) for mix in guidance.mixes]
    steers = [(str(term), j) for j, term in enumerate(guidance.steers)]  # their random numbers depend on j
    return tuple(
        zip(
            plan.cfg.tolist(),
            adaptive.tolist(),
            _acting(mixes, plan.mix) if mixes else nothing,
            _acting(steers, plan.steer) if steers else nothing,
            strict=True,
        )
    )


def _acting(terms: Sequence[tuple[Hashable, ...]], weights: Floats) -> list[tuple[Hashable, ...]]:
    """(S,) the terms that act at each call, with their weights (S, terms)."""
    return [tuple((t, w) for t, w in zip(terms, row, strict=True) if w) for row in weights.tolist()]


def prefix_tree(members: Sequence[Calls]) -> list[tuple[int, int]]:
    """For each: the earlier one with which it has the most calls in common, and how many; (-1, 0) for a root.

    The last call is never shared, so that each has something to do.
    """
    found = []
    for i, mine in enumerate(members):
        shared = [(_common_calls(mine, other), -j) for j, other in enumerate(members[:i])]
        most, j = max(shared, default=(0, 1))
        found.append((-j, most) if most else (-1, 0))
    return found


def _common_calls(one: Calls, other: Calls) -> int:
    most = min(len(one), len(other)) - 1
    return next((k for k in range(most) if one[k] != other[k]), most)


_TRUNK = attrgetter(*(field.name for field in fields(Request) if field.name != "guidance"))


def prefix_key(request: Request) -> Hashable:
    """What requests must have in common to share anything: all but their guidance."""
    return _TRUNK(request)


def share_prefixes(trajectories: Sequence[Trajectory]) -> list[Trajectory]:
    """Hang each under the one that it goes along with at first; returns those that start on their own."""
    groups: dict[Hashable, list[Trajectory]] = {}
    for t in trajectories:
        groups.setdefault((t.lane, t.trace, prefix_key(t.request)), []).append(t)
    roots = set()
    for group in groups.values():
        ways = [guidance_calls(t.plan, t.request.terms) for t in group] if len(group) > 1 else [()]
        for t, (parent, shared) in zip(group, prefix_tree(ways), strict=True):
            if parent < 0:
                roots.add(t)
            else:
                group[parent].branches.append((shared, t))
    return [t for t in trajectories if t in roots]


def count_shared(members: Sequence[tuple[Plan, Calls]]) -> tuple[int, int]:
    """Evaluations and rows that need not be computed where all of these go along together."""
    shared = [(members[i][0], n) for i, (_, n) in enumerate(prefix_tree([ways for _, ways in members]))]
    return sum(n for _, n in shared), sum(int(plan.reads[:n].sum()) for plan, n in shared)
