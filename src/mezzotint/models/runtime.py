"""What executes the networks of a model: numpy in, numpy out, and how many rows a call has."""

from __future__ import annotations

import os
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import RequestError

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


# Latents in one call beyond which a row gets no cheaper: 32 rows of 16x16 on a CPU, 32 of 64x64 on a GPU.
_KNEE = {"cpu": 32 * 16 * 16, "cuda": 32 * 64 * 64}
# Arrays of the size of the widest level that live at once in a call, generously.
_LIVE_ARRAYS = 24


def most_rows(height: int, width: int, channels: int, device: str, device_bytes: int | None = None) -> int:
    """The most rows worth sending in one call at a latent size: a bucket, at least 2, within memory.

    `channels`: of the network's largest grid. `device_bytes` None: those of this machine.
    """
    row_bytes = height * width * channels * 4 * _LIVE_ARRAYS
    fit = (device_bytes or _memory()) // 4 // row_bytes
    worth = _KNEE.get(device.split(":")[0], _KNEE["cpu"]) // (height * width)
    return max(2, *(b for b in BUCKETS if b == 1 or b <= min(fit, worth)))


def _memory() -> int:
    """Bytes of memory in this machine; 8 GB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 8 << 30


def to_signed(pixels: NDArray[np.uint8], factor: int, reader: str) -> Floats:
    """(H, W, 3) in -1..1. RequestError where a side does not divide by `factor`; `reader`: who asks for that."""
    height, width = pixels.shape[:2]
    if height % factor or width % factor:
        raise RequestError(f"{reader} pictures whose sides divide by {factor}, got {width}x{height}")
    return pixels.astype(np.float32) / 127.5 - 1


def as_bytes(pictures: Floats) -> NDArray[np.uint8]:
    """0..255 from 0..1."""
    return np.asarray((pictures * 255).round(), np.uint8)


def in_colors(pictures: Floats) -> Floats:
    """(n, H, W, 3) from (n, H, W, 3), or from (n, H, W, 1) of gray."""
    return np.repeat(pictures, 3, axis=-1) if pictures.shape[-1] == 1 else pictures
