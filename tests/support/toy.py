"""A small network with every property the engine relies on, and none of a real one's cost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mezzotint.schedule import Schedule

Array = NDArray[np.float32]
SICK = "sick"  # a prompt with this word gets the `poison`


def schedule(prediction: str = "v_prediction", **more: object) -> Schedule:
    """Stable Diffusion's."""
    config = {
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "clip_sample": False,
    }
    return Schedule.from_config({**config, "prediction_type": prediction, "steps_offset": 1, **more})


@dataclass
class Toy:
    """Mixes x, t and text nonlinearly, elementwise: on no machine does a row see another.

    `wobble` adds what BLAS has, bits that depend on the padded row count.
    """

    schedule: Schedule = field(default_factory=schedule)
    wobble: float = 0.0
    max_rows: int = 16
    before: Callable[[Array, Array, Array], None] = lambda x, timestep, text: None  # may raise
    poison: Callable[[float], float] = lambda timestep: 0.0
    name: str = "toy"
    digest: str = "0123456789abcdef" * 4
    runtime: str = "numpy"
    dtype: str = "float32"
    device: str = "cpu"
    latent_channels: int = 4
    vae_factor: int = 8
    side_multiple: int = 8
    reads_text: bool = True
    default_size: tuple[int, int] = (64, 64)
    calls: list[tuple[int, int]] = field(default_factory=list)  # rows asked for, rows padded to
    callers: set[int] = field(default_factory=set)

    def max_rows_at(self, height: int, width: int) -> int:
        return self.max_rows

    def bucket(self, rows: int) -> int:
        return min(1 << (rows - 1).bit_length(), self.max_rows)

    def encode(self, text: str, role: str = "prompt", encoder: str = "") -> tuple[Array, Warning | None]:
        return self.encode_text(text), None

    def encode_text(self, text: str) -> Array:
        words = np.random.default_rng([ord(c) for c in text] or [0]).standard_normal((3, 2))
        words[0, 0] = 9 if SICK in text else words[0, 0]
        return words.astype(np.float32)

    def denoise(self, x: Array, timestep: Array, text: Array, rows: int) -> Array:
        assert len(x) == len(timestep) == len(text) <= rows <= self.max_rows
        self.calls.append((len(x), rows))
        self.callers.add(threading.get_ident())
        self.before(x, timestep, text)
        t = (timestep / np.float32(1000))[:, None, None, None]
        y = np.roll(x, 1, -1) - np.float32(0.6) * np.roll(x, 1, -2) + np.float32(0.4) * np.roll(x, 1, -3) * t
        grid = np.arange(x[0].size, dtype=np.float32).reshape(x[0].shape)
        for k in range(6):
            word = text.reshape(-1, 6)[:, k, None, None, None]
            y = y + word * np.float32(0.2) * ((grid * (k + 3)) % 7 - 3)
        out = y / (1 + np.abs(y)) + np.float32(0.3) * x
        for i in np.flatnonzero(text[:, 0, 0] == 9):
            out[i] += np.float32(self.poison(float(timestep[i])))
        return np.asarray(out * np.float32(1 + self.wobble * rows))

    def decode(self, latents: Array) -> NDArray[np.uint8]:
        assert latents.shape[0] == 1
        rgb = np.moveaxis(latents[0, :3], 0, -1).repeat(8, 0).repeat(8, 1)
        return np.asarray(np.clip(rgb * 40 + 128, 0, 255), np.uint8)
