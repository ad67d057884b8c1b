"""The latents in flight. Sums are elementwise and in a fixed order, so that no bit depends on the company.

A matrix product would be shorter, but BLAS libraries choose their order of summation by shape and alignment.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mezzotint.engine.network import Latents
from mezzotint.rng import Generator

Places = NDArray[np.intp]


class Pool:
    """Slots of up to `capacity` trajectories of one latent shape; each has a place from `take` to `release`.

    `slots` is (K, capacity, size) float32, allocated once; K grows to the largest that any sampler asked for.
    """

    def __init__(self, capacity: int, size: int) -> None:
        self.slots: Latents = np.zeros((1, capacity, size), np.float32)
        self._free = list(reversed(range(capacity)))

    def take(self, slots: int, init: float, noise: Generator) -> int:
        """A place with slot 0 = init*z and the others 0."""
        z = noise.normal(self.slots.shape[2:])
        return self.put((init * z)[None], slots)

    def put(self, latents: Latents, slots: int) -> int:
        """A place whose first slots are `latents` (k, size), and the others 0."""
        if slots > len(self.slots):
            more = np.zeros((slots - len(self.slots), *self.slots.shape[1:]), np.float32)
            self.slots = np.concatenate([self.slots, more])
        place = self._free.pop()
        self.slots[:, place] = 0  # who was here before may have left NaN
        self.slots[: len(latents), place] = latents
        return place

    @property
    def size(self) -> int:
        """Of one slot."""
        return int(self.slots.shape[2])

    def latents(self, place: int) -> Latents:
        """(size,) a copy of slot 0."""
        latents: Latents = self.slots[0, place].copy()
        return latents

    def release(self, place: int) -> None:
        """The place is free for another."""
        self._free.append(place)

    def update(self, at: Places, matrices: NDArray[np.float32], x0_guided: Latents, x0_raw: Latents) -> None:
        """slots' = matrix @ [slots; x0_guided; x0_raw], for n trajectories of equal K.

        at (n,) places, matrices (n, K, K+2), x0 (n, size).
        """
        k = matrices.shape[1]
        old = [*(self.slots[i, at] for i in range(k)), x0_guided, x0_raw]
        weights = matrices.transpose(1, 2, 0)[..., None]  # (K, K+2, n, 1)
        product = np.empty_like(x0_raw)
        for i in range(k):
            total = weights[i, 0] * old[0]
            for j in range(1, k + 2):
                total += np.multiply(weights[i, j], old[j], out=product)
            self.slots[i, at] = total
