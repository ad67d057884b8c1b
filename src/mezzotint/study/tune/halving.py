"""Successive halving over seeds: all settings on few seeds, the better half on twice as many, and so on.

Jamieson & Talwalkar 2016 (1502.07943), with seeds for a budget. A rung's seeds are the first of the next one's, so nothing
is drawn twice, and more seeds add rungs above those that are there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from mezzotint.study.tune.certainty import Certainty, SeedScores, certainty_of, mean, rank
from mezzotint.study.tune.goal import Goal
from mezzotint.study.tune.space import Point

FIRST = 4  # seeds of the first rung
LEAST = 2  # settings of the last rung


class RungScores(NamedTuple):
    """What settings came to. `seen` has None for one whose pictures failed; `stopped`: not all was drawn."""

    seen: list[SeedScores | None]
    stopped: bool = False


class Trial(NamedTuple):
    """A setting that the sampler suggested."""

    number: int  # of Optuna's trial
    point: Point
    finished: bool


class Suggester(Protocol):
    """What suggests settings."""

    def batch(self, done: int, count: int) -> Sequence[Trial]: ...
    def tell(self, number: int, value: float | None) -> None: ...


Evaluate = Callable[[list[Point], int], RungScores]  # settings and how many seeds


@dataclass
class TunedSetting:
    """One setting: what it came to on the seeds of the highest rung that it reached."""

    point: Point
    seen: SeedScores | None = None  # None: its pictures failed
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
class HalvingResult:
    """What a search found."""

    goal: Goal
    rungs: list[Rung] = field(default_factory=list)
    settings: list[TunedSetting] = field(default_factory=list)
    stopped: bool = False

    @property
    def whole(self) -> list[TunedSetting]:
        """Those that did not fail."""
        return [setting for setting in self.settings if setting.seen]

    def certainty(self) -> Certainty:
        """Of `whole`."""
        return certainty_of([setting.seen for setting in self.whole if setting.seen], self.goal)

    @property
    def base(self) -> TunedSetting | None:
        """The setting that the study has without a search."""
        return next((setting for setting in self.whole if setting.base), None)


def rungs(seeds: int) -> list[int]:
    """How many seeds each rung has: 4, 8, 16 ... and the last all of them."""
    found = [FIRST]
    while found[-1] * 2 <= seeds:
        found.append(found[-1] * 2)
    return [*(n for n in found if n < seeds), seeds]


def halve(
    asks: Suggester,
    evaluate: Evaluate,
    goal: Goal,
    count: int,
    seeds: int,
    base: Point | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> HalvingResult:
    """Search among `count` settings, the best of them on so many seeds. `base` is on every rung, for comparison."""
    ladder, steps = HalvingResult(goal), rungs(seeds)
    say(f"rung 1 of {len(steps)}: {count} settings on {steps[0]} seeds")
    _first(ladder, asks, evaluate, count, steps[0], base)
    standing = _rank_settings(ladder.whole, goal)
    for number, n in enumerate(steps):
        if ladder.stopped or not standing:
            break
        if number:
            say(f"rung {number + 1} of {len(steps)}: {len(standing)} settings on {n} seeds")
            if not _climb(ladder, standing, evaluate, number, n):
                break
            standing = _rank_settings([setting for setting in standing if setting.seen], goal)
        kept = standing if n == seeds else _better(standing)
        best = mean(standing[0].seen.values[goal.metric]) if standing and standing[0].seen else math.nan
        ladder.rungs.append(Rung(n, len(standing), len(kept), best))
        standing = kept
    return ladder


def _first(
    ladder: HalvingResult, asks: Suggester, evaluate: Evaluate, count: int, seeds: int, base: Point | None
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
            TunedSetting(point, seen, base=point == base)
            for point, seen in zip(points, scores.seen, strict=True)
        ]
        for one, seen in zip(asked, scores.seen, strict=False):
            if not one.finished:
                asks.tell(one.number, _reported_value(seen, ladder.goal))
        done += len(asked)


def _reported_value(seen: SeedScores | None, goal: Goal) -> float | None:
    """What the sampler hears: nothing of what fails or is out of bounds."""
    passed, worse = rank(seen, goal) if seen else (1.0, 0.0)
    return mean(seen.values[goal.metric]) if seen and passed <= 0 and math.isfinite(worse) else None


def _climb(
    ladder: HalvingResult, standing: list[TunedSetting], evaluate: Evaluate, number: int, seeds: int
) -> bool:
    """These settings on more seeds; what they had stays where that is stopped."""
    scores = evaluate([setting.point for setting in standing], seeds)
    ladder.stopped = scores.stopped
    if not scores.stopped:
        for setting, seen in zip(standing, scores.seen, strict=True):
            setting.seen, setting.rung = seen, number
    return not scores.stopped


def _rank_settings(settings: list[TunedSetting], goal: Goal) -> list[TunedSetting]:
    """The best first."""
    return sorted(settings, key=lambda setting: rank(setting.seen, goal) if setting.seen else (9e99, 0.0))


def _better(ranked: list[TunedSetting]) -> list[TunedSetting]:
    """The better half, and the base."""
    most = max(LEAST, -(-len(ranked) // 2))
    return [setting for i, setting in enumerate(ranked) if i < most or setting.base]
