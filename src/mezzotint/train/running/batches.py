"""Batches prepared in a thread while the network works, and the part of each that a process takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from torch import Tensor


class Ahead:
    """`make(index)` for one index after the other, some of them before they are asked for."""

    def __init__(self, make: Callable[[int], Any], first: int, end: int, ahead: int):
        self.make, self.end, self.ahead = make, end, ahead
        self._next = first
        self._waiting: deque[Future[Any]] = deque()
        self._thread = ThreadPoolExecutor(1, "batches") if ahead else None

    def take(self, index: int) -> Any:
        """The batch of this index, which is one more than the last; raises what making it raised."""
        if self._thread is None:
            return self.make(index)
        self._fill()
        made = self._waiting.popleft().result()
        self._fill()
        return made

    def _fill(self) -> None:
        assert self._thread is not None
        while len(self._waiting) < self.ahead and self._next < self.end:
            self._waiting.append(self._thread.submit(self.make, self._next))
            self._next += 1

    def close(self) -> None:
        """Wait for what is being made; the rest is never made."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)


def size_of(batch: Any) -> int:
    """How many samples a batch has: the length of the first tensor, array or list in it; 0 where there is none."""
    if isinstance(batch, Tensor | np.ndarray | list):
        return len(batch)
    parts = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, tuple) else ()
    return next(filter(None, map(size_of, parts)), 0)


def part_of(batch: Any, rank: int, count: int) -> Any:
    """Samples rank, rank + count, ... of a batch: tensors, arrays and lists are of samples; tuples and dicts hold them."""
    if isinstance(batch, Tensor | np.ndarray | list):
        return batch[rank::count]
    if isinstance(batch, dict):
        return {key: part_of(value, rank, count) for key, value in batch.items()}
    if isinstance(batch, tuple):
        return tuple(part_of(value, rank, count) for value in batch)
    return batch
