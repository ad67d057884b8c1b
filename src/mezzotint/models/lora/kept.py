"""LoRA files kept by their content."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from mezzotint.lora import weight_of
from mezzotint.models.lora.read import grouped
from mezzotint.models.lora.write import FILE_NAME
from mezzotint.models.shelf import Shelf

_WEIGHTED = re.compile(r"(.+):([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)", re.ASCII)  # style.safetensors:0.8
_SHELF = Shelf("loras", "adapter", "LoRA", "--lora", 4 << 30)


def keep_lora(path: str | os.PathLike[str], cache: Path | None = None) -> str:
    """Take a LoRA file, or the folder of one, into the cache; returns the sha256 of its bytes, 64 hex digits.

    ModelError where it is none, or pickled; OutputError where nothing can be kept.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    grouped(_SHELF.open(path))
    return _SHELF.keep(path, cache)


def keep_loras(given: Sequence[str], folder: Path = Path()) -> str:
    """`Request.lora` of several, each `FILE` or `FILE:0.8`, relative to the folder; they are kept by their content."""
    adapters = []
    for text in given:
        path, number = found.groups() if (found := _WEIGHTED.fullmatch(text)) else (text, "1")
        adapters.append((folder / os.path.expanduser(path), weight_of(number)))
    return " + ".join(f"{weight!r}*{keep_lora(path)}" for path, weight in adapters)


def kept_lora(digest: str, cache: Path | None = None) -> Path:
    """The file of a digest. RequestError where it is not, or no longer, there."""
    return _SHELF.find(digest, cache)
