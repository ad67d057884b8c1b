"""LoRA files kept by their content, and the hash by which A1111 knows them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from mezzotint.expressions import NewWord, lora_weight
from mezzotint.models.lora.format import PEFT_KEY, WEIGHTS_NAME, config_beside
from mezzotint.models.lora.read import LoraFile, group_by_layer
from mezzotint.models.lora.write import FILE_NAME
from mezzotint.models.texts.inversion import keep_bundled_words
from mezzotint.models.weight_files import ContentStore


def a1111_hash(path: Path) -> str:
    """Of the tensors without the header, 64 hex digits; a hash in kohya's metadata goes before it."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length)
        said = json.loads(header).get("__metadata__") or {}
        return str(said.get("sshs_model_hash") or hashlib.file_digest(file, "sha256").hexdigest())


_WEIGHTED = re.compile(r"(.+):([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)", re.ASCII)  # style.safetensors:0.8
_SHELF = ContentStore("loras", "adapter", "LoRA", "--lora", 4 << 30)


def keep_lora(path: str | os.PathLike[str], cache: Path | None = None) -> str:
    """Take a LoRA file, or the folder of one, into the cache; returns the sha256 of its bytes, 64 hex digits.

    What matters of peft's `adapter_config.json` beside it is kept within. ModelError where it is none, or pickled;
    OutputError where nothing can be kept.
    """
    path = _file_of(Path(path))
    group_by_layer(_SHELF.open(path))
    if not (config := config_beside(path)):
        return _SHELF.keep(path, cache)
    return _SHELF.keep_bytes(
        _with_metadata(_SHELF.read(path), PEFT_KEY, json.dumps(config)), str(path), cache
    )


def keep_loras(given: Sequence[str], folder: Path = Path()) -> str:
    """`Request.lora` of several, each `FILE` or `FILE:0.8`, relative to the folder; they are kept by their content."""
    adapters = [_split_weight(text, folder) for text in given]
    return " + ".join(f"{weight!r}*{keep_lora(path)}" for path, weight in adapters)


def words_in_loras(given: Sequence[str], folder: Path = Path()) -> list[NewWord]:
    """The words that such files bring along, as OneTrainer's do; they are kept by their content."""
    files = [_SHELF.open(_file_of(_split_weight(text, folder)[0])) for text in given]
    return [word for file in files for word in keep_bundled_words(file)]


def kept_lora(digest: str, cache: Path | None = None) -> Path:
    """The file of a digest. RequestError where it is not, or no longer, there."""
    return _SHELF.find(digest, cache)


def lora_file(digest: str) -> LoraFile:
    """The same in the default cache, with the name that the user gave it."""
    return LoraFile(kept_lora(digest), _SHELF.name_of(digest))


def _split_weight(text: str, folder: Path) -> tuple[Path, float]:
    path, number = found.groups() if (found := _WEIGHTED.fullmatch(text)) else (text, "1")
    return folder / os.path.expanduser(path), lora_weight(number)


def _file_of(path: Path) -> Path:
    """In a folder: diffusers' file, else peft's."""
    if not path.is_dir():
        return path
    names = (
        FILE_NAME,
        WEIGHTS_NAME,
        Path(FILE_NAME).with_suffix(".bin"),
        Path(WEIGHTS_NAME).with_suffix(".bin"),
    )
    return path / next((name for name in names if (path / name).is_file()), FILE_NAME)


def _with_metadata(data: bytes, key: str, value: str) -> bytes:
    """A safetensors file with one more entry in its metadata."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = {**(header.get("__metadata__") or {}), key: value}
    written = json.dumps(header, separators=(",", ":")).encode()
    written += b" " * (-len(written) % 8)  # so that values stay aligned
    return len(written).to_bytes(8, "little") + written + data[8 + length :]
