"""How a training goes, on stderr: one line in a terminal that moves along; elsewhere a line a minute."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from mezzotint.progress import ProgressReporter

SHOWN = {
    "loss": "loss {:.4g}",
    "lr": "lr {:.3g}",
    "samples_per_s": "{:.3g} samples/s",
    "network_share": "network {:.0%}",
}


class ProgressLine:
    """Steps done, epoch, loss, rate, pace and the time that is left."""

    def __init__(
        self, step: int, steps: int, epoch: int, shown: bool = True, clock: Callable[[], float] = monotonic
    ):
        """`epoch`: steps of one, or 0; `shown`: whether this process is the one that says it."""
        from rich.console import Console

        console = Console(stderr=True)
        self._epoch, self._step, self._loss = epoch, step, ""
        self._bar: Any = _bar(console) if shown and console.is_terminal else None
        self._progress = ProgressReporter(say, steps, "steps", clock=clock, done=step)
        self._quiet = not shown or console.is_terminal
        if self._bar:
            self._task = self._bar.add_task("", total=steps, completed=step, epoch="", numbers="")
            self._bar.start()

    def update(self, step: int, numbers: Mapping[str, float] | None = None) -> None:
        """To this step, with new numbers where there are some."""
        if self._bar:
            self._draw(step, numbers)
        elif not self._quiet:
            self._count(step, numbers)

    def look(self, step: int) -> None:
        """Samples are drawn and measured now, which may take as long as many steps."""
        if not self._quiet:
            say(f"training: samples and measures {self._place(step)}")

    def close(self) -> None:
        """Take the line away."""
        if self._bar:
            self._bar.stop()

    def _draw(self, step: int, numbers: Mapping[str, float] | None) -> None:
        fields: dict[str, str] = {}
        if self._epoch:
            fields["epoch"] = f"epoch {step / self._epoch:.2f}"
        if numbers:
            fields["numbers"] = "  ".join(
                form.format(numbers[key]) for key, form in SHOWN.items() if key in numbers
            )
        self._bar.update(self._task, completed=step, **fields)

    def _count(self, step: int, numbers: Mapping[str, float] | None) -> None:
        if numbers and "loss" in numbers:
            self._loss = ", " + SHOWN["loss"].format(numbers["loss"])
        epoch = f", epoch {step / self._epoch:.2f}" if self._epoch else ""
        self._progress.phase = f"training{epoch}{self._loss}"
        self._progress.step(step - self._step)
        self._step = step

    def _place(self, step: int) -> str:
        if self._epoch and step % self._epoch == 0:
            return f"after epoch {step // self._epoch}" if step else "before the first step"
        return f"at step {step}"


def say(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)


def _bar(console: Any) -> Any:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    told = "{task.completed:.0f}/{task.total:.0f}  {task.fields[epoch]}  {task.fields[numbers]}"
    columns = (BarColumn(bar_width=10), TextColumn(told), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, refresh_per_second=4)
