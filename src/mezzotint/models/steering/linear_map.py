"""Latents to colors by one matrix: each latent is nearly the mean color of the pixels it stands for (numpy).

The matrix is fitted once for each model, by least squares against its own decoder, and kept in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mezzotint.models.cache import key_of, read_json_quietly, remember
from mezzotint.models.runtime import Floats

_SIDE, _SAMPLES = 16, 16


def linear_map(decode: Callable[[Floats], Floats], channels: int, digest: str, cache: Path) -> Floats:
    """(c + 1, 3): latents and a one to red, green, blue in -1..1; `decode`: (1, c, h, w) to (1, H, W, 3)."""
    note = cache / "linear_maps" / f"{key_of('linear map', digest)}.json"
    found = np.array(read_json_quietly(note).get("map", []), np.float32)
    if found.shape == (channels + 1, 3) and np.isfinite(found).all():
        return found
    fitted = _fit(decode, channels)
    remember(note, {"map": [[float(v) for v in row] for row in fitted]})
    return fitted


def colors(latents: Floats, matrix: Floats) -> Floats:
    """(n, h, w, 3) in -1..1 from (n, c, h, w)."""
    return np.asarray(np.moveaxis(latents, 1, -1) @ matrix[:-1] + matrix[-1], np.float32)


def _fit(decode: Callable[[Floats], Floats], channels: int) -> Floats:
    latents = _smooth_noise(channels)
    pictures = np.concatenate([decode(latents[i : i + 1]) for i in range(len(latents))]).clip(-1, 1)
    factor = pictures.shape[1] // _SIDE
    means = pictures.reshape(len(latents), _SIDE, factor, _SIDE, factor, 3).mean((2, 4))
    seen = np.moveaxis(latents, 1, -1).reshape(-1, channels)
    rows = np.concatenate([seen, np.ones((len(seen), 1), np.float32)], 1)
    return np.asarray(np.linalg.lstsq(rows, means.reshape(-1, 3), rcond=None)[0], np.float32)


def _smooth_noise(channels: int) -> Floats:
    """(n, c, side, side) of unit variance, in patches of 1, 2, 4 and 8: latents of pictures have such areas."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(_SAMPLES):
        patch = 2 ** (i % 4)
        coarse = rng.standard_normal((channels, _SIDE // patch, _SIDE // patch), np.float32)
        made.append(coarse.repeat(patch, 1).repeat(patch, 2))
    return np.stack(made)
