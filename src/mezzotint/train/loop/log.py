"""What a training reports: lines of JSON, TensorBoard where it is installed, its speed."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from torch import Tensor, nn

from mezzotint.files import write_atomic


class Log:
    """`log.jsonl` and `tensorboard/` of a run, which go on at a step as if what came after had not been."""

    def __init__(self, folder: Path, step: int, looked: bool, epoch: int):
        """`looked`: whether the sheet of this very step is there; `epoch`: steps of one, or 0."""
        path = folder / "log.jsonl"
        _truncate_log(path, step, looked)
        self.file, self.board, self.epoch = path.open("a"), _board(folder, step), epoch

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """One line. Where it cannot be written, as on a full disk, it is lost with a warning: training goes on."""
        line: dict[str, float] = {"step": step, "time": round(time.time(), 1)}
        if self.epoch:
            line["epoch"] = round(step / self.epoch, 4)
        line |= {key: float(f"{value:.6g}") for key, value in numbers.items()}
        try:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()
        except OSError as error:
            warnings.warn(f"cannot write the log: {error.strerror}", stacklevel=2)
        if self.board is not None:
            for key, value in numbers.items():
                self.board.add_scalar(key, value, step)

    def close(self) -> None:
        """Close the files."""
        try:
            self.file.close()
        except OSError as error:
            warnings.warn(f"cannot write the log: {error.strerror}", stacklevel=2)
        if self.board is not None:
            self.board.close()


def _truncate_log(path: Path, step: int, looked: bool) -> None:
    """Keep the lines up to a step; those of its sheet only where the sheet is there. Half a line is none."""
    if not path.exists():
        return
    kept = "".join(line for line in path.read_text().splitlines(keepends=True) if _stays(line, step, looked))
    write_atomic(path, kept.encode())


def _stays(line: str, step: int, looked: bool) -> bool:
    try:
        found = json.loads(line)
        at = int(found["step"])
    except (ValueError, KeyError, TypeError):
        return False
    return line.endswith("\n") and (at < step or (at == step and (looked or "loss" in found)))


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    # What a run that was killed wrote for later steps is not shown.
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)


class Means:
    """Means of the steps since the last line. They are part of a checkpoint, so that the curve has no seam either."""

    def __init__(self, kept: Mapping[str, tuple[float, int]] | None = None):
        self._sums: dict[str, tuple[Any, int]] = {key: (s, n) for key, (s, n) in (kept or {}).items()}

    def add(self, numbers: Mapping[str, Any]) -> None:
        """Numbers of one batch or step. No number of a GPU is waited for; a name may be missing in some steps."""
        for key, value in numbers.items():
            total, count = self._sums.get(key, (0.0, 0))
            self._sums[key] = (total + (value.detach() if isinstance(value, Tensor) else value), count + 1)

    def state(self) -> dict[str, tuple[float, int]]:
        """As JSON takes it."""
        return {key: (float(total), count) for key, (total, count) in self._sums.items()}

    def pop(self) -> dict[str, float]:
        """The means, and begin anew."""
        means = {key: total / count for key, (total, count) in self.state().items()}
        self._sums = {}
        return means


class Throughput:
    """Counts from one `pop` to the next. Waiting ends where the module is first called after `fetching`."""

    def __init__(self, module: nn.Module, step: int, steps: int):
        self._first, self._steps, self._began = step, steps, monotonic()
        self._fetching = 0.0
        self._hook = module.register_forward_pre_hook(self._end_waiting)
        self._clear()

    def _clear(self) -> None:
        self.count, self.samples, self.busy, self.waited = 0, 0, 0.0, 0.0

    def _end_waiting(self, module: nn.Module, inputs: Any) -> None:
        if self._fetching:
            self.waited += monotonic() - self._fetching
            self._fetching = 0.0

    @contextmanager
    def step(self) -> Iterator[None]:
        """One step of the optimizer happens in here."""
        began = monotonic()
        yield
        self.busy += monotonic() - began
        self.count += 1

    def fetching(self) -> None:
        """A batch is being prepared."""
        self._fetching = monotonic()

    def pop(self, step: int) -> dict[str, float]:
        """Numbers for the log since the last time, and the seconds that are left at the pace of this whole run."""
        busy = max(self.busy, 1e-9)
        done = max(1, step - self._first)
        numbers = {
            "seconds": busy / max(1, self.count),
            "eta_s": (self._steps - step) * (monotonic() - self._began) / done,
            "network_share": 1 - self.waited / busy,
        }
        if self.samples:
            numbers["samples_per_s"] = self.samples / busy
        self._clear()
        return numbers

    def close(self) -> None:
        """Leave the module as it was."""
        self._hook.remove()
