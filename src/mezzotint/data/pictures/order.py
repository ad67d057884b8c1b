"""The order of pictures: every epoch visits each once, shuffled by the seed, and any place in it can be asked at once."""

from __future__ import annotations

import hashlib
import random
import threading
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


class Order:
    """Positions 0, 1, 2 … of an endless walk over `count` pictures, epoch after epoch."""

    def __init__(self, count: int):
        self.count = count
        self._lock = threading.Lock()
        self._epoch = lru_cache(4)(
            self._permutation
        )  # what batches across a border, and those made ahead, need

    def at(self, seed: int, position: int) -> int:
        """The picture at this position."""
        epoch, place = divmod(position, self.count)
        with self._lock:
            shuffled = self._epoch(seed, epoch)
        return int(shuffled[place])

    def _permutation(self, seed: int, epoch: int) -> NDArray[np.uint32]:
        """By sorting raw numbers: NumPy keeps these the same in all versions, `permutation` it may change."""
        key = int.from_bytes(hashlib.sha256(f"epoch {seed} {epoch}".encode()).digest()[:16], "little")
        raw = np.random.Philox(key=key).random_raw(self.count)
        return np.argsort(raw, kind="stable").astype(np.uint32)


def chance(seed: int, position: int) -> random.Random:
    """What a visit decides by: whether it is mirrored, which caption it has, where it is cut, in this order."""
    return random.Random(f"visit {seed} {position}")
