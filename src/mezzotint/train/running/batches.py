"""Batches, whatever they are made of: how many samples one has, and the part of it that a process takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor


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
