"""What long work says while it runs: phase, step, rate and time left, in one form for all commands."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

TERMINAL, FILE = 10.0, 60.0  # seconds between two lines, where somebody watches and where a file is written


def duration(seconds: float) -> str:
    """Such as `12 s`, `5 min` or `3.4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@dataclass
class ProgressReporter:
    """Counts the steps of one phase, and says how far it is: every ten seconds at a terminal, else once a minute.

    `phase`: such as `figure 15, guidance-scale`; `unit`: of a step, in the plural; `clock`: seconds. `done`: steps of an
    earlier start, which count for how far it is and not for the rate.
    """

    say: Callable[[str], None]
    total: int
    unit: str = "pictures"
    phase: str = ""
    clock: Callable[[], float] = monotonic
    done: int = 0
    _first: int = field(init=False)  # steps done before this start
    _began: float = field(init=False)
    _said: float = field(init=False)

    def __post_init__(self) -> None:
        self._first = self.done
        self._began = self._said = self.clock()
        self._pause = TERMINAL if sys.stderr.isatty() else FILE

    def step(self, count: int = 1) -> None:
        """So many steps are done; a line where it is time for one."""
        self.done += count
        if (now := self.clock()) - self._said >= self._pause:
            self._said = now
            self.say(self.line(now))

    def line(self, now: float) -> str:
        """Such as `figure 15, guidance-scale: 120 of 672 pictures, 1.9/s, 5 min left`."""
        rate = (self.done - self._first) / max(1e-9, now - self._began)
        left = f", {duration((self.total - self.done) / rate)} left" if rate else ""
        head = f"{self.phase}: " if self.phase else ""
        return f"{head}{self.done} of {self.total} {self.unit}, {_rate(rate)}{left}"


def _rate(rate: float) -> str:
    return f"{rate:.2g}/s" if rate >= 1 else f"{60 * rate:.2g}/min"
