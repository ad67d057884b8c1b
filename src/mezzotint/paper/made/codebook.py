"""A codebook laid over latents afterwards, by k-means: how many bits a picture needs, and what they cost.

It is no VQ autoencoder: there the encoder and the decoder learn together with the codes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
ROUNDS = 12
_AT_ONCE = 4096  # rows that are compared with all codes together


def learn_codebook(vectors: Floats, codes: int, seed: int = 0) -> Floats:
    """(codes, d) by Lloyd's k-means from (n, d), started at rows drawn without replacement; an empty code stays."""
    centers = vectors[np.random.default_rng(seed).choice(len(vectors), codes, replace=False)].copy()
    for _ in range(ROUNDS):
        at = nearest(vectors, centers)
        counts = np.bincount(at, minlength=codes)
        sums = np.zeros(centers.shape)
        np.add.at(sums, at, vectors)
        used = counts > 0
        centers[used] = sums[used] / counts[used, None]
    return centers


def nearest(vectors: Floats, centers: Floats) -> NDArray[np.intp]:
    """(n,) the row of `centers` (k, d) nearest to each of (n, d)."""
    size = np.square(centers).sum(1)
    parts = [vectors[i : i + _AT_ONCE] for i in range(0, len(vectors), _AT_ONCE)]
    return np.concatenate([(size - 2 * part @ centers.T).argmin(1) for part in parts])


def as_vectors(latents: Floats) -> Floats:
    """(h*w, C) of (C, h, w): a vector a place."""
    return latents.reshape(len(latents), -1).T


def quantize(latents: Floats, centers: Floats) -> Floats:
    """(C, h, w) with the nearest code at every place."""
    vectors = as_vectors(latents)
    return np.ascontiguousarray(centers[nearest(vectors, centers)].T.reshape(latents.shape))
