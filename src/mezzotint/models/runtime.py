"""What executes the three networks of a model: numpy in, numpy out, and which sizes it is compiled for."""

from __future__ import annotations

from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Dtype = Literal["float32", "bfloat16", "float16"]

# Row counts a network is compiled for; other counts are padded up to the next.
BUCKETS = (1, 2, 4, 8, 16, 32, 64)


class PixelRuntime(Protocol):
    """Executes what every model has. The caller pads rows to a bucket; results are new arrays."""

    name: str  # torch | openvino
    dtype: Dtype  # of the denoiser; the text encoder runs in float32
    threads: int  # on the CPU; another number may give other bits

    def denoise(self, x: Floats, timestep: Floats, text: Floats) -> Floats:
        """(n, c, h, w) scaled latents, (n,) training timesteps, (n, length, width) text -> (n, c, h, w)."""
        ...

    def decode(self, latents: Floats) -> Floats:
        """(n, c, h, w) latents -> (n, H, W, 3) pictures, about -1..1."""
        ...

    def prepare(self, rows: int, height: int, width: int) -> None:
        """Begin, in the background where that helps, what calls of these rows and latent size will need."""
        ...

    def over(self, bundle: Any) -> Self:
        """The same with the denoiser and the text encoder of a bundle that differs in their weights alone."""
        ...


class Runtime(PixelRuntime, Protocol):
    """Executes the networks of a text-to-image model."""

    def encode(self, tokens: NDArray[np.int64], rows: Floats | None = None) -> Floats:
        """(n, length) token ids -> (n, length, width) final hidden states of the text encoder.

        `rows` (k, width): embeddings of ids that go on behind the model's table.
        """
        ...

    def attend(self, x: Floats, timestep: Floats, text: Floats) -> tuple[Floats, list[Floats]]:
        """As `denoise`, and (n, h*w, length) of each layer of `cross_attention`: softmax, mean over heads."""
        ...

    def moments(self, pictures: Floats) -> Floats:
        """(n, H, W, 3) pictures in -1..1 -> (n, 2c, h, w): mean and log variance of their latents, unscaled."""
        ...


def bucket(rows: int) -> int:
    """The smallest bucket that holds so many rows; whole multiples of the largest beyond it."""
    if rows < 1:
        raise ValueError(f"rows must be 1 or more, not {rows}")
    return next((b for b in BUCKETS if b >= rows), -(-rows // BUCKETS[-1]) * BUCKETS[-1])


def call_rows(n: int, rows: int | None) -> int:
    """The rows of a call with n of them; ValueError where they do not fit."""
    rows = bucket(n) if rows is None else rows
    if rows < n:
        raise ValueError(f"{n} rows do not fit in a call of {rows}")
    return rows


def pad_rows(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """`array` with its last row repeated until it has so many rows: padding must be as finite as the rest."""
    missing = rows - len(array)
    return array if missing == 0 else np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])
