"""What lets a model run with adapters merged into its weights: the last few such models are kept open."""

from __future__ import annotations

import threading
from collections import ChainMap, OrderedDict
from copy import copy
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Self

from mezzotint.models.disk.bundle import AnyBundle
from mezzotint.models.lora.files import lora_file
from mezzotint.models.lora.read import adapted_bundle
from mezzotint.models.runtime import PixelRuntime
from mezzotint.models.steering.steered import Steered

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
