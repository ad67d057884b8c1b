"""A model that draws pixels without a prompt, open: what the engine calls latents is the picture itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ModelError
from mezzotint.models.denoising import Denoising
from mezzotint.models.disk.bundle import PixelBundle
from mezzotint.models.runtime import Floats, PixelRuntime, as_bytes, in_colors, to_signed

_NO_TEXT = np.zeros((0, 0), np.float32)
_NO_TEXT.flags.writeable = False
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # gray from red, green and blue: ITU-R BT.601


class PixelModel(Denoising):
    """As `Model` to the engine, but for what has to do with text. Calls may come from one thread at a time."""

    reads_text = False
    vae_factor = 1

    def __init__(
        self,
        bundle: PixelBundle,
        runtime: PixelRuntime,
        device: str = "cpu",
        device_bytes: int | None = None,
        cache: Path | None = None,
    ) -> None:
        arch = bundle.architecture()
        super().__init__(bundle, arch, runtime, device, device_bytes, cache)
        self.latent_channels = arch.colors
        self.side_multiple = arch.side_multiple

    def encode_text(self, text: str, encoder: str = "") -> Floats:
        """(0, 0): nothing is read."""
        return _NO_TEXT

    def encode(self, text: str, role: str = "prompt", encoder: str = "") -> tuple[Floats, None]:
        """As `encode_text`; there is nothing to warn of."""
        return _NO_TEXT, None

    def encode_picture(self, pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Mean and standard deviation (zero), each (c, H, W), of (H, W, 3) pixels; c is 1 of a model of gray.

        RequestError where a side does not divide by `side_multiple`.
        """
        mean = np.moveaxis(to_signed(pixels, self.side_multiple, f"{self.name} reads"), -1, 0)
        if self.latent_channels == 1:
            mean = np.tensordot(_LUMA, mean, 1)[None]
        return mean, np.zeros_like(mean)

    def decode(self, latents: Floats) -> NDArray[np.uint8]:
        """(H, W, 3) pixels from (1, c, h, w)."""
        return as_bytes(self.decode_float(latents)[0])

    def decode_float(self, latents: Floats) -> Floats:
        """(n, H, W, 3) in 0..1 from (n, c, h, w): gray is the same in all three."""
        if not np.isfinite(latents).all():
            raise ModelError(f"{self.name}: the picture is NaN or infinite")
        pictures = np.asarray(np.clip(self._runtime.decode(latents) / 2 + 0.5, 0, 1), np.float32)
        return in_colors(pictures)
