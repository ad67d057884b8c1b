"""The weights of one network: read from safetensors without torch, each checked once when it is taken.

Format of a file: 8 bytes with the length n of the header, n bytes of JSON (`name -> dtype, shape, data_offsets`), then
the values, which are mapped and not copied.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ModelError

# The largest header that the safetensors library itself accepts.
MAX_HEADER = 100_000_000
BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True)
class Tensor:
    """Where one tensor lies in a file."""

    file: Path
    dtype: str  # as safetensors names it: F32, F16, BF16...
    shape: tuple[int, ...]
    offset: int  # bytes from the start of the file

    def read(self) -> NDArray[Any]:
        """The values, mapped from the file: float32 or float16 (bfloat16 and float64 become float32)."""
        if self.dtype not in _NUMPY:
            raise ModelError(
                f"{self.file}: a weight is stored as {self.dtype}; Mezzotint reads F32, F16, BF16, F64"
            )
        if math.prod(self.shape) == 0:
            return np.zeros(self.shape, np.float32)
        stored = np.memmap(
            self.file, dtype=_NUMPY[self.dtype], mode="c", offset=self.offset, shape=self.shape
        )
        if self.dtype == "BF16":  # the upper half of a float32
            return (stored.astype(np.uint32) << 16).view(np.float32)
        return stored.astype(np.float32) if self.dtype == "F64" else np.require(stored, requirements="A")


@dataclass(frozen=True)
class TensorFile(Mapping[str, Tensor]):
    """A safetensors file: its tensors by name, and its metadata."""

    path: Path
    tensors: dict[str, Tensor]
    metadata: dict[str, str]

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    @classmethod
    def open(cls, path: Path) -> TensorFile:
        """Read and check the header. ModelError names the file, and the tensor where one is wrong."""
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if not 2 <= length <= min(MAX_HEADER, size - 8):
                    raise ModelError(f"{path} is not a safetensors file, or it was cut short; fetch it again")
                header = json.loads(file.read(length), object_pairs_hook=_without_duplicates)
            metadata = dict(header.pop("__metadata__", None) or {})
            tensors = {name: _tensor(path, name, entry, 8 + length, size) for name, entry in header.items()}
            _check_overlaps(path, header)
        except OSError as error:
            raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise ModelError(f"{path} has a damaged header; fetch it again") from error
        return cls(path, tensors, metadata)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError where a key stands twice, since readers would take different values."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _check_overlaps(path: Path, header: Mapping[str, Any]) -> None:
    """ModelError where two tensors share bytes, as the safetensors library refuses them."""
    spans = sorted((*entry["data_offsets"], name) for name, entry in header.items())
    for (_, end, first), (begin, _, second) in itertools.pairwise(spans):
        if begin < end:
            raise ModelError(f"{path}: the values of {first} and {second} overlap; fetch the file again")


def _tensor(path: Path, name: str, entry: Mapping[str, Any], start: int, size: int) -> Tensor:
    try:
        dtype, shape = entry["dtype"], tuple(entry["shape"])
        begin, end = entry["data_offsets"]
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: the entry of {name} is damaged; fetch the file again") from error
    numbers = (begin, end, *shape)
    if dtype not in BYTES and isinstance(dtype, str) and all(isinstance(n, int) for n in numbers):
        return Tensor(
            path, dtype, shape, start + begin
        )  # an exotic type: an error only if a network asks for it
    if not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise ModelError(f"{path}: the entry of {name} is damaged; fetch the file again")
    if end - begin != math.prod(shape) * BYTES[dtype] or start + end > size:
        raise ModelError(f"{path} was cut short: the values of {name} are not all there; fetch it again")
    return Tensor(path, dtype, shape, start + begin)


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
