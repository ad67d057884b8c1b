"""A model that draws pixels without a prompt, open: what the engine calls latents is the picture itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ModelError, RequestError
from mezzotint.models.capacity import most_rows
from mezzotint.models.disk.bundle import PixelBundle
from mezzotint.models.lora.adapting import Adapting
from mezzotint.models.runtime import Floats, PixelRuntime, bucket, fitting, padded
from mezzotint.schedule import Schedule

_NO_TEXT = np.zeros((0, 0), np.float32)
_NO_TEXT.flags.writeable = False


class PixelModel(Adapting):
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
        super().__init__(bundle, runtime, cache)
        self._arch = bundle.architecture()
        self._runtime = runtime
        self._device_bytes = device_bytes
        self.name = bundle.name
        self.path: Path = bundle.path
        self.digest = bundle.digest
        self.runtime: str = runtime.name
        self.dtype: str = runtime.dtype
        self.device = device
        self.schedule = Schedule.from_config(bundle.scheduler)
        self.latent_channels = self._arch.colors
        self.side_multiple = self._arch.side_multiple

    @property
    def default_size(self) -> tuple[int, int]:
        """(width, height) in pixels of the pictures it was trained on."""
        height, width = self._arch.sample_size
        return width, height

    @property
    def threads(self) -> int:
        """That the runtime computes with; 0 where it does not tell. Bits depend on it."""
        return self._runtime.threads

    @property
    def max_rows(self) -> int:
        """The most rows worth sending in one call at the default size."""
        return self.max_rows_at(*self._arch.sample_size)

    def max_rows_at(self, height: int, width: int) -> int:
        """The most rows worth sending in one call at a size: a bucket, at least 2, within memory."""
        return most_rows(height, width, self._arch.channels[0], self.device, self._device_bytes)

    def bucket(self, rows: int) -> int:
        """The row count that a call of so many rows is padded to."""
        return bucket(rows)

    def prepare(self, rows: int, width: int | None = None, height: int | None = None) -> None:
        """Begin in the background what so many rows of this size in pixels will need; returns at once."""
        across, down = self.default_size
        self._runtime.prepare(bucket(rows), height or down, width or across)

    def encode_text(self, text: str, encoder: str = "") -> Floats:
        """(0, 0): nothing is read."""
        return _NO_TEXT

    def encode(self, text: str, role: str = "prompt", encoder: str = "") -> tuple[Floats, None]:
        """As `encode_text`; there is nothing to warn of."""
        return _NO_TEXT, None

    def denoise(self, x: Floats, timestep: Floats, text: Floats, rows: int | None = None) -> Floats:
        """The network's output, (n, 3, h, w), for x (n, 3, h, w) and timestep (n,); the text is not read.

        The call is padded to `rows`, by default the bucket of n; a row's bits depend on that number and on
        itself.
        """
        n, rows = len(x), fitting(len(x), rows)
        out = self._runtime.denoise(padded(x, rows), padded(timestep, rows), _NO_TEXT)
        return np.asarray(out[:n], np.float32)

    def encode_picture(self, pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Mean and standard deviation (zero), each (3, H, W), of (H, W, 3) pixels.

        RequestError where a side does not divide by `side_multiple`.
        """
        height, width, factor = *pixels.shape[:2], self.side_multiple
        if height % factor or width % factor:
            raise RequestError(
                f"{self.name} reads pictures whose sides divide by {factor}, got {width}x{height}"
            )
        mean = np.moveaxis(pixels, -1, 0).astype(np.float32) / 127.5 - 1
        return mean, np.zeros_like(mean)

    def decode(self, latents: Floats) -> NDArray[np.uint8]:
        """(H, W, 3) pixels from (1, 3, h, w)."""
        return np.asarray((self.decode_float(latents)[0] * 255).round(), np.uint8)

    def decode_float(self, latents: Floats) -> Floats:
        """(n, H, W, 3) in 0..1 from (n, 3, h, w)."""
        if not np.isfinite(latents).all():
            raise ModelError(f"{self.name}: the picture is NaN or infinite")
        return np.asarray(np.clip(self._runtime.decode(latents) / 2 + 0.5, 0, 1), np.float32)
