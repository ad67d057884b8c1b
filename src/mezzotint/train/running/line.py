"""One line in a terminal that says how a training goes; elsewhere, nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHOWN = {
    "loss": "loss {:.4g}",
    "lr": "lr {:.3g}",
    "samples_per_s": "{:.3g} samples/s",
    "network_share": "network {:.0%}",
}


class ProgressLine:
    """Steps done, epoch, loss, rate, pace and the time that is left, on stderr."""

    def __init__(self, step: int, steps: int, epoch: int, shown: bool = True):
        from rich.console import Console

        console = Console(stderr=True)
        self._epoch = epoch
        self._bar: Any = _bar(console) if shown and console.is_terminal else None
        if self._bar:
            self._task = self._bar.add_task("", total=steps, completed=step, epoch="", numbers="")
            self._bar.start()

    def update(self, step: int, numbers: Mapping[str, float] | None = None) -> None:
        """To this step, with new numbers where there are some."""
        if not self._bar:
            return
        fields: dict[str, str] = {}
        if self._epoch:
            fields["epoch"] = f"epoch {step / self._epoch:.2f}"
        if numbers:
            fields["numbers"] = "  ".join(
                form.format(numbers[key]) for key, form in SHOWN.items() if key in numbers
            )
        self._bar.update(self._task, completed=step, **fields)

    def close(self) -> None:
        """Take the line away."""
        if self._bar:
            self._bar.stop()


def _bar(console: Any) -> Any:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    told = "{task.completed:.0f}/{task.total:.0f}  {task.fields[epoch]}  {task.fields[numbers]}"
    columns = (BarColumn(bar_width=10), TextColumn(told), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, refresh_per_second=4)
