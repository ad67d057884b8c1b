"""What turns pictures into latents and back: a whole model, or an autoencoder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]  # (H, W, 3)


class Codec(Protocol):
    """Encodes and decodes one picture at a time."""

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str: ...  # hexadecimal
    @property
    def latent_channels(self) -> int: ...
    @property
    def vae_factor(self) -> int: ...  # pixels along a side for each latent
    @property
    def default_size(self) -> tuple[int, int]: ...  # width, height in pixels

    def encode_picture(self, pixels: Pixels) -> tuple[Floats, Floats]:
        """Mean and standard deviation, each (C, h, w) and scaled, of (H, W, 3)."""

    def decode(self, latents: Floats) -> Pixels:
        """(H, W, 3) from (1, C, h, w)."""


def open_codec(source: str) -> Codec:
    """A model by its name, folder, file or hub id; or a folder that is itself an autoencoder (torch)."""
    from mezzotint.models import open_model
    from mezzotint.models.autoencoder import Autoencoder, is_autoencoder

    if is_autoencoder(Path(source).expanduser()):
        return Autoencoder.open(source)
    return open_model(source, dtype="float32")  # the denoiser is not asked: no self-test of its precision
