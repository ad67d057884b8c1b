"""LoRA files kept by their content."""

from __future__ import annotations

import os
from pathlib import Path

from mezzotint.models.lora.read import grouped
from mezzotint.models.lora.write import FILE_NAME
from mezzotint.models.shelf import Shelf

_SHELF = Shelf("loras", "adapter", "LoRA", "--lora", 4 << 30)


def keep_lora(path: str | os.PathLike[str], cache: Path | None = None) -> str:
    """Take a LoRA file, or the folder of one, into the cache; returns the sha256 of its bytes, 64 hex digits.

    ModelError where it is none, or pickled; OutputError where nothing can be kept.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    grouped(_SHELF.open(path))
    return _SHELF.keep(path, cache)


def kept_lora(digest: str, cache: Path | None = None) -> Path:
    """The file of a digest. RequestError where it is not, or no longer, there."""
    return _SHELF.find(digest, cache)
