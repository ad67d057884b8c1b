"""What a run says while it works: finished pictures on stdout, progress and all else on stderr."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mezzotint.cli.messages import note, one_line

if TYPE_CHECKING:
    from mezzotint.engine import Progress
    from mezzotint.request import Request
    from mezzotint.schedule import Schedule


class Display:
    """Plain lines: for pipes, files and logs."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        pass

    def opening(self, model: str) -> None:
        """A model is being opened, which takes longer the first time."""

    def begin(self, requests: Sequence[Request], schedule: Schedule) -> None:
        """The work starts."""

    def step(self, progress: Progress) -> None:
        """One picture is one evaluation further. Called on the engine's thread."""

    def picture_done(self) -> None:
        """One picture is finished, or has failed."""

    def result(self, line: str) -> None:
        """A line of output."""
        print(line, flush=True)

    def remark(self, line: str) -> None:
        """A line that is not output."""
        note(line)


class ProgressBar(Display):
    """A line that moves at the bottom of a terminal: pictures, network evaluations, time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True)
        self._bar = Progress(
            SpinnerColumn("dots", finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=32),
            TextColumn("{task.fields[count]}", style="dim"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("", total=None, count="")
        self._pictures = self._settled = self._total = self._done = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is not None:  # the last word is the error's
            self._bar.update(self._task, visible=False)
        self._bar.stop()

    def opening(self, model: str) -> None:
        self._bar.update(self._task, description=_plain(f"opening {model}"))

    def begin(self, requests: Sequence[Request], schedule: Schedule) -> None:
        self._pictures = len(requests)
        self._total = evaluations(requests, schedule)
        self._bar.reset(self._task, total=self._total)
        self._show()

    def step(self, progress: Progress) -> None:
        self._done += 1
        self._bar.update(self._task, advance=1, count=self._evaluations())

    def picture_done(self) -> None:
        self._settled += 1
        self._show()

    def result(self, line: str) -> None:
        if sys.stdout.isatty():  # above the bar, or they would overwrite each other
            self._above(line)
        else:
            super().result(line)

    def remark(self, line: str) -> None:
        self._above(one_line(line))

    def _above(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _show(self) -> None:
        noun = "picture" if self._pictures == 1 else "pictures"
        words = f"{self._settled}/{self._pictures} {noun}"
        self._bar.update(self._task, description=words, count=self._evaluations())

    def _evaluations(self) -> str:
        return f"{self._done}/{self._total} evaluations"


def display() -> Display:
    """A bar where stderr is a terminal; rich is imported only then."""
    return ProgressBar() if sys.stderr.isatty() else Display()


def evaluations(requests: Sequence[Request], schedule: Schedule) -> int:
    """The denoiser calls of a whole run; each kind of plan is computed once."""
    from mezzotint.planning import plan

    kinds: Counter[Any] = Counter(replace(r, prompt="", negative_prompt="", seed=0) for r in requests)
    return sum(plan(kind, schedule).evaluations * count for kind, count in kinds.items())


def _plain(text: str) -> str:
    """Text that rich must not take for markup."""
    return text.replace("[", "\\[")
