"""How fast a training goes, and for which share of the time the network is not waiting for data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from torch import nn


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
