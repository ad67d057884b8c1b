"""The random numbers of one request: the stream of torch's CPU generator, without torch.

Pictures published with their seed were drawn from `torch.randn` on the CPU; here the seed gives that noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Generator:
    """The stream of `torch.Generator("cpu").manual_seed(seed)`, equal to 1e-6."""

    def __init__(self, seed: int) -> None:
        state: Any = np.random.RandomState(seed & 0xFFFFFFFF).get_state(legacy=False)  # torch keeps 32 bits
        self._bits = np.random.MT19937()
        self._bits.state = state
        self._spare: float | None = None

    def copy(self) -> Generator:
        """Another that goes on from here on its own."""
        other = Generator(0)
        other._bits.state, other._spare = self._bits.state, self._spare
        return other

    def normal(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Standard normal noise of this shape, float32: `torch.randn(shape, generator=...)`."""
        n = math.prod(shape)
        z = self._blocks(n) if n >= 16 else np.array([self._one() for _ in range(n)], np.float32)
        return z.reshape(shape)

    def _blocks(self, n: int) -> NDArray[np.float32]:
        """Box-Muller in blocks of 16; a ragged tail is drawn anew over the last 16 values."""
        ragged = n % 16
        words = self._bits.random_raw(n + 16 if ragged else n)
        z = _box_muller(words[: n - ragged])
        return np.concatenate([z[: n - 16], _box_muller(words[-16:])]) if ragged else z

    def _one(self) -> float:
        """One value at a time, from 53-bit uniforms; the sine of each pair waits for the next call."""
        if self._spare is not None:
            z, self._spare = self._spare, None
            return z
        u1, u2 = (self._uniform53() for _ in range(2))
        r, theta = math.sqrt(-2.0 * math.log1p(-u2)), 2.0 * math.pi * u1
        self._spare = r * math.sin(theta)
        return r * math.cos(theta)

    def _uniform53(self) -> float:
        high, low = (int(word) for word in self._bits.random_raw(2))
        return float(((high << 32 | low) & (2**53 - 1)) / 2**53)


def normals(generators: Sequence[Generator], n: int) -> NDArray[np.float32]:
    """(len(generators), n) `normal((n,))` of each, to the bit; whole blocks are made together."""
    if n < 16 or n % 16:
        return np.stack([one.normal((n,)) for one in generators])
    return _box_muller(np.concatenate([one._bits.random_raw(n) for one in generators])).reshape(-1, n)


def _box_muller(words: NDArray[np.uint64]) -> NDArray[np.float32]:
    """From blocks of 8 radii and 8 angles to 8 cosines and 8 sines; torch rounds the angles to float32."""
    u = np.ascontiguousarray((words & 0xFFFFFF).reshape(-1, 2, 8).swapaxes(0, 1)) / 2.0**24
    r = np.sqrt(-2.0 * np.log1p(-u[0]))
    theta = (np.float32(2.0 * math.pi) * u[1].astype(np.float32)).astype(np.float64)
    z = np.empty((len(words) // 16, 2, 8), np.float32)
    z[:, 0], z[:, 1] = r * np.cos(theta), r * np.sin(theta)
    return z.ravel()
