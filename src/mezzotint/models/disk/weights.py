"""The weights of one network by the names diffusers gives them, each checked once when it is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ModelError
from mezzotint.models.disk.tensors import Tensor

Array = NDArray[Any]


class Weights:
    """Hands out weights by name and remembers which were asked for, so that what is left over can be told."""

    def __init__(self, stored: Mapping[str, Tensor], where: Path) -> None:
        self._stored = stored
        self._where = where
        self._taken: set[str] = set()

    def take(self, name: str, shape: tuple[int, ...]) -> Array:
        """The weight of this name and shape, float32 or float16, finite. ModelError names file and tensor."""
        self._taken.add(name)
        tensor = self._find(name)
        if tensor.shape != shape and not _flat_equal(tensor.shape, shape):
            raise ModelError(
                f"{tensor.file}: {name} has shape {list(tensor.shape)}, its config asks for {list(shape)}"
            )
        value = tensor.read().reshape(shape)
        if not np.isfinite(value).all():
            raise ModelError(f"{tensor.file}: {name} holds NaN or infinity; the weights are damaged")
        return value

    def shape(self, name: str) -> tuple[int, ...]:
        """The stored shape of a weight."""
        return self._find(name).shape

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def check(self, wanted: Callable[[str], bool]) -> None:
        """Take what no graph needs, for the checks alone: a model with damage in it is a damaged model."""
        for name in filter(wanted, self._stored):
            self.take(name, self.shape(name))

    def finish(self, unused: Callable[[str], bool] = lambda name: False) -> None:
        """ModelError where a stored weight was never asked for, unless `unused(name)` allows it."""
        left = sorted(name for name in self._stored if name not in self._taken and not unused(name))
        if left:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            raise ModelError(
                f"{self._stored[left[0]].file}: unexpected weight {left[0]}{more}; is the config its own?"
            )

    def _find(self, name: str) -> Tensor:
        if name not in self._stored:
            raise ModelError(f"{self._where}: the weight {name} is missing")
        return self._stored[name]


def is_positions(name: str) -> bool:
    """Whether a stored weight is the numbers of positions, which old text encoders stored and nothing needs."""
    return name.endswith("position_ids")


def _flat_equal(stored: tuple[int, ...], asked: tuple[int, ...]) -> bool:
    """Linear and 1x1 convolution hold the same numbers; files of different ages store either."""
    return stored == (*asked, 1, 1) or (*stored, 1, 1) == asked
