"""Successive halving over seeds: all settings on few seeds, the better half on twice as many, and so on.

Jamieson & Talwalkar 2016 (1502.07943), with seeds for a budget. A rung's seeds are the first of the next one's, so nothing
is drawn twice, and more seeds add rungs above those that are there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from mezzotint.study.tune.certainty import Seen, Sureness, mean, rank, sureness
from mezzotint.study.tune.goal import Goal
from mezzotint.study.tune.space import Point

FIRST = 4  # seeds of the first rung
LEAST = 2  # settings of the last rung


class Scores(NamedTuple):
    """What settings came to. `seen` has None for one whose pictures failed; `stopped`: not all was drawn."""

    seen: list[Seen | None]
    stopped: bool = False


class Asked(Protocol):
    """A setting that was asked."""

    @property
    def number(self) -> int: ...
    @property
    def point(self) -> Point: ...
    @property
    def told(self) -> bool: ...


class Asks(Protocol):
    """What suggests settings."""

    def batch(self, done: int, count: int) -> Sequence[Asked]: ...
    def tell(self, number: int, value: float | None) -> None: ...


Evaluate = Callable[[list[Point], int], Scores]  # settings and how many seeds


@dataclass
class Setting:
    """One setting: what it came to on the seeds of the highest rung that it reached."""

    point: Point
    seen: Seen | None = None  # None: its pictures failed
    rung: int = 0
    base: bool = False


@dataclass(frozen=True)
class Rung:
    """So many settings on so many seeds, of which the better went on."""

    seeds: int
    settings: int
    kept: int
    best: float  # mean of the best one within the bounds, or else of the one least out of them


@dataclass
class Ladder:
    """What a search found."""

    goal: Goal
    rungs: list[Rung] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)
    stopped: bool = False

    @property
    def whole(self) -> list[Setting]:
        """Those that did not fail."""
        return [setting for setting in self.settings if setting.seen]

    def sureness(self) -> Sureness:
        """Of `whole`."""
        return sureness([setting.seen for setting in self.whole if setting.seen], self.goal)

    @property
    def base(self) -> Setting | None:
        """The setting that the study has without a search."""
        return next((setting for setting in self.whole if setting.base), None)


def rungs(seeds: int) -> list[int]:
    """How many seeds each rung has: 4, 8, 16 ... and the last all of them."""
    found = [FIRST]
    while found[-1] * 2 <= seeds:
        found.append(found[-1] * 2)
    return [*(n for n in found if n < seeds), seeds]


def halve(
    asks: Asks,
    evaluate: Evaluate,
    goal: Goal,
    count: int,
    seeds: int,
    base: Point | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Ladder:
    """Search among `count` settings, the best of them on so many seeds. `base` is on every rung, for comparison."""
    ladder, steps = Ladder(goal), rungs(seeds)
    say(f"rung 1 of {len(steps)}: {count} settings on {steps[0]} seeds")
    _first(ladder, asks, evaluate, count, steps[0], base)
    standing = _ranked(ladder.whole, goal)
    for number, n in enumerate(steps):
        if ladder.stopped or not standing:
            break
        if number:
            say(f"rung {number + 1} of {len(steps)}: {len(standing)} settings on {n} seeds")
            if not _climb(ladder, standing, evaluate, number, n):
                break
            standing = _ranked([setting for setting in standing if setting.seen], goal)
        kept = standing if n == seeds else _better(standing)
        best = mean(standing[0].seen.values[goal.metric]) if standing and standing[0].seen else math.nan
        ladder.rungs.append(Rung(n, len(standing), len(kept), best))
        standing = kept
    return ladder


def _first(
    ladder: Ladder, asks: Asks, evaluate: Evaluate, count: int, seeds: int, base: Point | None
) -> None:
    """The first rung: batch by batch, so that the sampler learns. The base goes with the first, unless it is asked itself."""
    done = 0
    while done < count and (asked := list(asks.batch(done, count))):
        points = [one.point for one in asked]
        if base and not done and base not in points:
            points.append(base)
        scores = evaluate(points, seeds)
        ladder.stopped = scores.stopped
        if scores.stopped:
            return
        ladder.settings += [
            Setting(point, seen, base=point == base) for point, seen in zip(points, scores.seen, strict=True)
        ]
        for one, seen in zip(asked, scores.seen, strict=False):
            if not one.told:
                asks.tell(one.number, _told(seen, ladder.goal))
        done += len(asked)


def _told(seen: Seen | None, goal: Goal) -> float | None:
    """What the sampler hears: nothing of what fails or is out of bounds."""
    passed, worse = rank(seen, goal) if seen else (1.0, 0.0)
    return mean(seen.values[goal.metric]) if seen and passed <= 0 and math.isfinite(worse) else None


def _climb(ladder: Ladder, standing: list[Setting], evaluate: Evaluate, number: int, seeds: int) -> bool:
    """These settings on more seeds; what they had stays where that is stopped."""
    scores = evaluate([setting.point for setting in standing], seeds)
    ladder.stopped = scores.stopped
    if not scores.stopped:
        for setting, seen in zip(standing, scores.seen, strict=True):
            setting.seen, setting.rung = seen, number
    return not scores.stopped


def _ranked(settings: list[Setting], goal: Goal) -> list[Setting]:
    """The best first."""
    return sorted(settings, key=lambda setting: rank(setting.seen, goal) if setting.seen else (9e99, 0.0))


def _better(ranked: list[Setting]) -> list[Setting]:
    """The better half, and the base."""
    most = max(LEAST, -(-len(ranked) // 2))
    return [setting for i, setting in enumerate(ranked) if i < most or setting.base]
