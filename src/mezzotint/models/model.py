"""A text-to-image model, open: text to states, latents to predictions, latents to pictures."""

from __future__ import annotations

import os
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ModelError
from mezzotint.models.bundle import Bundle
from mezzotint.models.runtime import BUCKETS, Floats, Runtime, bucket, padded
from mezzotint.models.tokenizer import ClipTokenizer, TruncatedPromptWarning
from mezzotint.schedule import Schedule

# Latents in one call beyond which a row gets no cheaper: 32 rows of 16x16 on a CPU, 32 of 64x64 on a GPU.
_KNEE = {"cpu": 32 * 16 * 16, "cuda": 32 * 64 * 64}
# Arrays of the size of the widest level that live at once in a call, generously.
_LIVE_ARRAYS = 24
_TEXTS_KEPT = 256


class Model:
    """A model as the engine sees it; made by `open_model`. Calls may come from one thread at a time."""

    def __init__(
        self, bundle: Bundle, runtime: Runtime, device: str = "cpu", device_bytes: int | None = None
    ) -> None:
        self._unet, self._vae, self._text = bundle.architectures()
        self._runtime = runtime
        self._tokenizer = ClipTokenizer.of(bundle)
        self._device_bytes = device_bytes
        self._states: OrderedDict[str, tuple[Floats, str]] = OrderedDict()
        self.name = bundle.name
        self.path: Path = bundle.path
        self.digest = bundle.digest
        self.runtime: str = runtime.name
        self.dtype: str = runtime.dtype
        self.device = device
        self.schedule = Schedule.from_config(bundle.scheduler)
        self.latent_channels = self._unet.latent_channels
        self.vae_factor = self._vae.factor
        self.text_width = self._text.width
        self.text_length = self._text.length

    @property
    def default_size(self) -> tuple[int, int]:
        """(width, height) in pixels of the pictures it was trained on."""
        height, width = self._unet.sample_size
        return width * self.vae_factor, height * self.vae_factor

    @property
    def threads(self) -> int:
        """That the runtime computes with; 0 where it does not tell. Bits depend on it."""
        return self._runtime.threads

    @property
    def max_rows(self) -> int:
        """The most rows worth sending in one call at the default size."""
        return self.max_rows_at(*self._unet.sample_size)

    def max_rows_at(self, height: int, width: int) -> int:
        """The most rows worth sending in one call at a latent size: a bucket, at least 2, within memory."""
        row_bytes = height * width * self._unet.channels[0] * 4 * _LIVE_ARRAYS
        fit = (self._device_bytes or _memory()) // 4 // row_bytes
        worth = _KNEE.get(self.device.split(":")[0], _KNEE["cpu"]) // (height * width)
        return max(2, *(b for b in BUCKETS if b == 1 or b <= min(fit, worth)))

    def bucket(self, rows: int) -> int:
        """The row count that a call of so many rows is padded to."""
        return bucket(rows)

    def prepare(self, rows: int, width: int | None = None, height: int | None = None) -> None:
        """Begin in the background what so many rows of this size in pixels will need; returns at once."""
        across, down = self.default_size
        factor = self.vae_factor
        self._runtime.prepare(bucket(rows), (height or down) // factor, (width or across) // factor)

    def encode_text(self, text: str) -> Floats:
        """(length, width) states of a text, read-only. One text a call: its bits never depend on company.

        Warns with TruncatedPromptWarning where the text is longer than the model reads.
        """
        states, told = self.encode(text)
        if told:
            warnings.warn(told, stacklevel=2)
        return states

    def encode(self, text: str, role: str = "prompt") -> tuple[Floats, TruncatedPromptWarning | None]:
        """As `encode_text`, but the warning is returned; it calls the text by its role."""
        states, told = self._encoded(text)
        return states, TruncatedPromptWarning(told.replace("prompt", role, 1)) if told else None

    def _encoded(self, text: str) -> tuple[Floats, str]:
        """The states, and what there is to tell; both are kept, the oldest are dropped."""
        if text in self._states:
            self._states.move_to_end(text)
            return self._states[text]
        tokens, told = self._tokenizer.encode(text)
        states: Floats = self._runtime.encode(tokens)[0]
        states.flags.writeable = False
        self._states[text] = states, told
        if len(self._states) > _TEXTS_KEPT:
            self._states.popitem(last=False)
        return states, told

    def denoise(self, x: Floats, timestep: Floats, text: Floats, rows: int | None = None) -> Floats:
        """The network's output, (n, c, h, w), for x (n, c, h, w), timestep (n,), text (n, length, width).

        The call is padded to `rows`, by default the bucket of n; a row's bits depend on that number and on
        itself.
        """
        n = len(x)
        rows = bucket(n) if rows is None else rows
        if rows < n:
            raise ValueError(f"{n} rows do not fit in a call of {rows}")
        out = self._runtime.denoise(padded(x, rows), padded(timestep, rows), padded(text, rows))
        return np.asarray(out[:n], np.float32)

    def decode(self, latents: Floats) -> NDArray[np.uint8]:
        """(H, W, 3) pixels from (1, c, h, w) latents."""
        picture = self.decode_float(latents)[0]
        return np.asarray((picture * 255).round(), np.uint8)

    def decode_float(self, latents: Floats) -> Floats:
        """(n, H, W, 3) in 0..1 from (n, c, h, w) latents; one picture a call, for the sake of its bits."""
        pictures = np.concatenate([self._runtime.decode(latents[i : i + 1]) for i in range(len(latents))])
        if not np.isfinite(pictures).all():
            advice = "" if self.dtype == "float32" else f" after {self.dtype}; try dtype='float32'"
            raise ModelError(f"{self.name}: the decoder gave NaN or infinity{advice}")
        return np.clip(pictures / 2 + 0.5, 0, 1)


def _memory() -> int:
    """Bytes of memory in this machine; 8 GB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 8 << 30
