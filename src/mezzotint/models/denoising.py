"""What models of both kinds are to the engine: the facts of one, its denoiser, and the same with adapters merged in."""

from __future__ import annotations

import threading
from collections import ChainMap, OrderedDict
from copy import copy
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mezzotint.models.disk.architecture import PixelArch, UNetArch
from mezzotint.models.disk.bundle import AnyBundle
from mezzotint.models.disk.source import read_defaults
from mezzotint.models.lora.files import lora_file
from mezzotint.models.lora.read import adapted_bundle
from mezzotint.models.runtime import Floats, PixelRuntime, bucket, call_rows, most_rows, pad_rows
from mezzotint.models.steering.steered import Steered
from mezzotint.models.upscaler import open_upscaler
from mezzotint.schedule import Schedule

OPEN = 3  # each has a denoiser of its own in memory


class Adapting(Steered):
    """The part of a model that gives it with adapters."""

    def __init__(self, bundle: AnyBundle, runtime: PixelRuntime, cache: Path | None) -> None:
        super().__init__(bundle, runtime, cache)
        self._with = lru_cache(maxsize=64)(partial(adapted_bundle, lora_file, bundle))
        self._adapted: OrderedDict[str, Self] = OrderedDict()
        self._opening = threading.Lock()

    def check_lora(self, lora: str) -> None:
        """RequestError where a file is not kept here, ModelError where one does not fit; no weight is read.

        Layers that the model lacks are skipped, which is warned of once.

        `lora`: as in `Request.lora`.
        """
        self._with(lora)

    def with_lora(self, lora: str) -> Self:
        """The model with adapters merged into denoiser and text encoder; "" is the model itself."""
        if not lora:
            return self
        with self._opening:
            if lora not in self._adapted:
                while len(self._adapted) >= OPEN:
                    self._adapted.popitem(last=False)
                self._adapted[lora] = self._over(self._with(lora))
            self._adapted.move_to_end(lora)
            return self._adapted[lora]

    def _over(self, bundle: AnyBundle) -> Self:
        """This model with other weights; what adapters do not change is shared."""
        other: Any = copy(self)
        other._bundle, other._adapted = bundle, OrderedDict()
        other._made = ChainMap({}, self._made)
        other._runtime = self._runtime.over(bundle)
        made: Self = other
        return made


class Denoising(Adapting):
    """The part of a model that denoises."""

    reads_text: bool
    vae_factor: int

    def __init__(
        self,
        bundle: AnyBundle,
        arch: UNetArch | PixelArch,
        runtime: PixelRuntime,
        device: str,
        device_bytes: int | None,
        cache: Path | None,
    ) -> None:
        super().__init__(bundle, runtime, cache)
        self._arch = arch
        self._device_bytes = device_bytes
        self.name = bundle.name
        self.path: Path = bundle.path
        self.digest = bundle.digest
        self.runtime: str = runtime.name
        self.dtype: str = runtime.dtype
        self.device = device
        self.defaults = read_defaults(bundle.path)  # fields of requests that do not say
        self.schedule = Schedule.from_config(bundle.scheduler)

    def __repr__(self) -> str:
        """What a model is: `<Model emoji: draws what a text says, 128x128 pixels, openvino float32>`."""
        does = "draws what a text says" if self.reads_text else "draws without a text"
        width, height = self.default_size
        kind = type(self).__name__
        return f"<{kind} {self.name}: {does}, {width}x{height} pixels, {self.runtime} {self.dtype}>"

    @property
    def default_size(self) -> tuple[int, int]:
        """(width, height) in pixels of the pictures it was trained on."""
        height, width = self._arch.sample_size
        return width * self.vae_factor, height * self.vae_factor

    @property
    def threads(self) -> int:
        """That the runtime computes with; 0 where it does not tell. Bits depend on it."""
        return self._runtime.threads

    def max_rows_at(self, height: int, width: int) -> int:
        """The most rows worth sending in one call at a latent size: a bucket, at least 2, within memory."""
        return most_rows(height, width, self._arch.channels[0], self.device, self._device_bytes)

    def bucket(self, rows: int) -> int:
        """The row count that a call of so many rows is padded to."""
        return bucket(rows)

    def prepare(self, rows: int, width: int | None = None, height: int | None = None) -> None:
        """Begin in the background what so many rows of this size in pixels will need; returns at once."""
        across, down = self.default_size
        factor = self.vae_factor
        self._runtime.prepare(bucket(rows), (height or down) // factor, (width or across) // factor)

    @property
    def upscaler_digest(self) -> str:
        """sha256 of the weights that `upscale` computes with."""
        return open_upscaler(self.threads).digest

    def upscale(self, pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
        """(factor*H, factor*W, 3) from (H, W, 3), by the bundled upscaler; it always computes on the processor."""
        return open_upscaler(self.threads)(pixels, factor)

    def denoise(self, x: Floats, timestep: Floats, text: Floats, rows: int | None = None) -> Floats:
        """The network's output, (n, c, h, w), for x (n, c, h, w), timestep (n,), text (n, length, width).

        The call is padded to `rows`, by default the bucket of n; a row's bits depend on that number and on
        itself. A model that reads no text leaves it.
        """
        n, rows = len(x), call_rows(len(x), rows)
        out = self._runtime.denoise(pad_rows(x, rows), pad_rows(timestep, rows), pad_rows(text, rows))
        return np.asarray(out[:n], np.float32)
