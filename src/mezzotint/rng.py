"""The random numbers of one request: the stream of torch's CPU generator, without torch.

Pictures published with their seed were drawn from `torch.randn` on the CPU; here the seed gives that noise.
"""

from __future__ import annotations

import math
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
        z = self._blocks(n) if n >= 16 else np.array([self._one() for _ in range(n)])
        return z.astype(np.float32).reshape(shape)

    def _blocks(self, n: int) -> NDArray[np.float64]:
        """Box-Muller in blocks of 16; a ragged tail is drawn anew over the last 16 values."""
        bits = self._bits.random_raw(n if n % 16 == 0 else n + 16)
        u = (bits & 0xFFFFFF) / 2.0**24
        z = np.empty(n)
        whole = n - n % 16
        z[:whole] = _box_muller(u[:whole])
        if whole < n:
            z[-16:] = _box_muller(u[-16:])
        return z

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


def _box_muller(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """From blocks of 8 radii and 8 angles to 8 cosines and 8 sines; torch rounds the angles to float32."""
    u1, u2 = u.reshape(-1, 2, 8).swapaxes(0, 1)
    r = np.sqrt(-2.0 * np.log1p(-u1))
    theta = (np.float32(2.0 * math.pi) * u2.astype(np.float32)).astype(np.float64)
    return np.stack([r * np.cos(theta), r * np.sin(theta)], axis=1).ravel()
