"""How sure the best setting is: the paired bootstrap over seeds, also between settings that saw different numbers of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mezzotint.stats import DRAWS, Estimate
from mezzotint.study.tune.goal import Goal
from mezzotint.study.tune.shrink import shrunk_bootstrap

Floats = NDArray[np.float64]
LEVEL = 0.95


class SeedScores(NamedTuple):
    """A setting's values {metric: (seeds,)}, all settings' from the same seed up; nan: no verdict."""

    values: dict[str, Floats]

    @property
    def seeds(self) -> int:
        """How many."""
        return len(next(iter(self.values.values())))


class Certainty(NamedTuple):
    """`best`: the place of the best of those that saw most seeds, None where none is within the bounds."""

    best: int | None
    shares: list[float]  # of the draws, in which each is the best within the bounds
    within: list[float]  # and in which each is within them
    alike: list[int]  # those that cannot be told from the best at 95 %, the best first


def certainty_of(seen: Sequence[SeedScores], goal: Goal, draws: int = DRAWS, seed: int = 0) -> Certainty:
    """The best setting and the shares of bootstrap draws in which each is it."""
    best = leader(seen, goal)
    if best is None:
        return Certainty(None, [0.0] * len(seen), [0.0] * len(seen), [])
    sign = 1.0 if goal.higher else -1.0
    scores = sign * shrunk_bootstrap([one.values[goal.metric] for one in seen], draws, seed)
    inside = np.ones(scores.shape, np.bool_)
    for bound in goal.bounds:
        inside &= bound.excess(shrunk_bootstrap([one.values[bound.metric] for one in seen], draws, seed)) <= 0
    allowed = np.where(inside & np.isfinite(scores), scores, -np.inf)
    top = allowed.max(1, keepdims=True)
    first = np.isfinite(top) & np.isclose(allowed, top, rtol=1e-12, atol=1e-15)
    shares = (first / np.maximum(1, first.sum(1, keepdims=True))).mean(0)  # a tie is shared
    return Certainty(best, shares.tolist(), inside.mean(0).tolist(), _not_ruled_out(scores, inside, best))


def leader(seen: Sequence[SeedScores], goal: Goal) -> int | None:
    """The best mean within the bounds, of those that saw most seeds."""
    most = max((one.seeds for one in seen), default=0)
    ranked = [(rank(one, goal), i) for i, one in enumerate(seen) if one.seeds == most]
    (passed, worse), place = min(ranked, default=((math.inf, math.inf), 0))
    return place if passed <= 0 and math.isfinite(worse) else None


def rank(one: SeedScores, goal: Goal) -> tuple[float, float]:
    """The less the better: how far it is out of bounds, then the metric. nan counts as the worst."""
    passed = [max(0.0, float(bound.excess(mean(one.values[bound.metric])))) for bound in goal.bounds]
    value = mean(one.values[goal.metric]) * (-1 if goal.higher else 1)
    return (sum(math.inf if math.isnan(p) else p for p in passed), math.inf if math.isnan(value) else value)


def mean(values: Floats) -> float:
    """Of those that are there; nan where none is."""
    some = values[np.isfinite(values)]
    return float(some.mean()) if some.size else math.nan


def _not_ruled_out(scores: Floats, inside: NDArray[np.bool_], best: int) -> list[int]:
    """The best, and all that simultaneous intervals of their distances to it do not rule out (Hsu 1984), likeliest first.

    Its measured coverage of the truly best setting is 0.95 to 1, also where many are alike; a test holds it.
    """
    behind = scores - scores[:, [best]]
    means, spread = behind.mean(0), behind.std(0)
    far = np.percentile(((behind - means) / np.maximum(spread, 1e-300)).max(1), 100 * LEVEL)
    possible = (means + far * spread >= 0) & (inside.mean(0) > 1 - LEVEL) & np.isfinite(means)
    order = np.argsort(-means, kind="stable")
    return [best, *(int(i) for i in order if possible[i] and i != best)]


def difference(seen: Sequence[SeedScores], one: int, other: int, metric: str, draws: int = DRAWS) -> Estimate:
    """One minus other, and the interval of 95 % of the draws."""
    found = shrunk_bootstrap([s.values[metric] for s in seen], draws)
    found = found[:, one] - found[:, other]
    low, high = np.percentile(found, [2.5, 97.5])
    return Estimate(float(found.mean()), float(low), float(high), min(seen[one].seeds, seen[other].seeds))
