"""Pixels as networks read and give them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import RequestError
from mezzotint.models.runtime import Floats


def to_signed(pixels: NDArray[np.uint8], factor: int, reader: str) -> Floats:
    """(H, W, 3) in -1..1. RequestError where a side does not divide by `factor`; `reader`: who asks for that."""
    height, width = pixels.shape[:2]
    if height % factor or width % factor:
        raise RequestError(f"{reader} pictures whose sides divide by {factor}, got {width}x{height}")
    return pixels.astype(np.float32) / 127.5 - 1


def as_bytes(pictures: Floats) -> NDArray[np.uint8]:
    """0..255 from 0..1."""
    return np.asarray((pictures * 255).round(), np.uint8)
