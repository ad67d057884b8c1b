"""LoRA files kept by their content, so that a Request never names a path and a recipe replays."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from mezzotint.errors import ModelError, RequestError
from mezzotint.models.cache import default_cache, put, remembered_digest
from mezzotint.models.disk.parts import PICKLED
from mezzotint.models.disk.tensors import TensorFile
from mezzotint.models.lora.read import grouped
from mezzotint.models.lora.write import FILE_NAME

MAX_BYTES = 4 << 30


def keep_lora(path: str | os.PathLike[str], cache: Path | None = None) -> str:
    """Take a LoRA file, or the folder of one, into the cache; returns the sha256 of its bytes, 64 hex digits.

    ModelError where it is none, or pickled; OutputError where nothing can be kept.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    if path.suffix in PICKLED:
        raise ModelError(f"{path} may be pickled, which can run code when opened; take a .safetensors file")
    grouped(TensorFile.open(path))
    data = _bytes(path)
    digest = hashlib.sha256(data).hexdigest()
    cache = cache or default_cache()
    if _is_kept(digest, cache):
        return digest
    place = _place(digest, cache)
    put(place, data, f"keep {path} in {place.parent}")
    return digest


def kept_lora(digest: str, cache: Path | None = None) -> Path:
    """The file of a digest. RequestError where it is not, or no longer, there."""
    cache = cache or default_cache()
    if not _is_kept(digest, cache):
        raise RequestError(f"no adapter {digest[:10]} is kept here; give its file again with --lora FILE")
    return _place(digest, cache)


def _is_kept(digest: str, cache: Path) -> bool:
    try:
        return remembered_digest(_place(digest, cache), cache) == digest
    except OSError:
        return False


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path} is larger than {MAX_BYTES >> 30} GiB; it is no LoRA")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None


def _place(digest: str, cache: Path) -> Path:
    return cache / "loras" / f"{digest}.safetensors"
