"""Timing two things against each other: A B A B, so that whatever else the machine does hits both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter, sleep
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")
PAUSE = 0.05  # seconds between two runs, in which the threads of the one before go to sleep


@dataclass(frozen=True)
class TimedPairs:
    """Seconds of both sides, pair by pair."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours over theirs, of each pair."""
        return tuple(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float:
        """The median of ours over the median of theirs."""
        return median(self.ours) / median(self.theirs)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        paired = self.ratios
        return {
            "mezzotint_s": list(self.ours),
            "diffusers_s": list(self.theirs),
            "mezzotint_median_s": median(self.ours),
            "diffusers_median_s": median(self.theirs),
            "ratio_of_medians": self.ratio,
            "paired_ratios": {"min": min(paired), "median": median(paired), "max": max(paired)},
        }


def alternate(
    ours: Callable[[int], A],
    theirs: Callable[[int], B],
    times: int,
    clock: Callable[[], float] = perf_counter,
    rest: Callable[[float], None] = sleep,
) -> tuple[TimedPairs, list[A], list[B]]:
    """Time `ours(0), theirs(0), ours(1), theirs(1), ...`; the number tells the run which pair it is in."""
    seconds: tuple[list[float], list[float]] = ([], [])
    made_ours: list[A] = []
    made_theirs: list[B] = []

    def time_run(run: Callable[[int], T], i: int, into: list[float]) -> T:
        rest(PAUSE)
        began = clock()
        made = run(i)
        into.append(clock() - began)
        return made

    for i in range(times):
        made_ours.append(time_run(ours, i, seconds[0]))
        made_theirs.append(time_run(theirs, i, seconds[1]))
    return TimedPairs(tuple(seconds[0]), tuple(seconds[1])), made_ours, made_theirs
