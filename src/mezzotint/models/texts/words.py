"""New words (textual inversion, 2208.01618): files of embeddings, kept by their content, as rows behind a table.

How a file spells one:
    diffusers  {"<cat-toy>": (width,) or (k, width)}, usually learned_embeds.safetensors
    A1111      {"emb_params": (k, width)}, and the word is the file's name
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mezzotint.errors import ModelError, RequestError
from mezzotint.models.disk.tensors import Tensor, TensorFile
from mezzotint.models.runtime import Floats
from mezzotint.models.shelf import Shelf
from mezzotint.words import Word, check_name

FILE_NAME = "learned_embeds.safetensors"
MOST_ROWS = 75  # more than these no text encoder reads

_A1111 = "emb_params"
_SHELF = Shelf("words", "word", "embedding of a word", "--word", 64 << 20)


class Stored(NamedTuple):
    """A word as its file has it."""

    name: str
    rows: Tensor  # (k, width), or (width,)


def keep_word(path: str | os.PathLike[str], name: str = "", cache: Path | None = None) -> Word:
    """Take the file of a word, or the folder of one, into the cache. `name`: how prompts say it, else as the file does.

    ModelError where it is none, or pickled; OutputError where nothing can be kept.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    found = stored(_SHELF.open(path))
    return Word(check_name(name or found.name), _SHELF.keep(path, cache))


def files_in(path: Path) -> list[Path]:
    """A file as it is; of a folder diffusers' file, or all, as A1111's folder of embeddings has them."""
    if not path.is_dir() or (path / FILE_NAME).exists():
        return [path]
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise ModelError(f"{path} holds no word; a word is a .safetensors file such as {FILE_NAME}")
    return files


def stored(file: TensorFile) -> Stored:
    """What a file holds. ModelError where it is not one word."""
    if _A1111 in file:
        found = Stored(file.path.stem, file[_A1111])
    elif len(file) == 1:
        found = Stored(*next(iter(file.items())))
    else:
        raise ModelError(
            f"{file.path} holds {len(file)} tensors; the file of a word holds one, its embedding"
        )
    shape = found.rows.shape
    if len(shape) not in (1, 2) or not 1 <= (shape[0] if len(shape) == 2 else 1) <= MOST_ROWS:
        raise ModelError(
            f"{file.path}: {list(shape)} is no embedding of a word; it has [width] or [tokens, width]"
        )
    return found


def kept_rows(words: tuple[Word, ...], width: int) -> Mapping[str, Tensor]:
    """Word by word what its file holds. RequestError where it is not kept here, ModelError where it does not fit."""
    found = {word.name: stored(TensorFile.open(_found(word))).rows for word in words}
    for name, rows in found.items():
        if rows.shape[-1] != width:
            here = f"the word {name} is {rows.shape[-1]} numbers wide, the model's are {width}"
            raise ModelError(f"{here}; it was learned with another model")
    return found


def _found(word: Word) -> Path:
    try:
        return _SHELF.find(word.digest)
    except RequestError as error:
        raise RequestError(f"{word.name}: {error}") from None


def read_rows(words: Mapping[str, Tensor]) -> Floats:
    """(k, width) those of all words, one after the other. ModelError where one is damaged."""
    table = [rows.read().astype(np.float32).reshape(-1, rows.shape[-1]) for rows in words.values()]
    for name, rows in zip(words, table, strict=True):
        if not np.isfinite(rows).all():
            raise ModelError(f"the word {name} holds NaN or infinity; its file is damaged")
    return np.concatenate(table)


def counts(words: Mapping[str, Tensor]) -> dict[str, int]:
    """How many tokens each word stands for."""
    return {name: rows.shape[0] if len(rows.shape) == 2 else 1 for name, rows in words.items()}


def keep_words(given: Sequence[str]) -> str:
    """`Request.words` of several, each `PATH` or `NAME=PATH`, a file or a folder; they are kept by their content."""
    found = []
    for text in given:
        name, named, path = text.partition("=") if "=" in text and not Path(text).exists() else ("", "", text)
        files = [Path(path)] if named else files_in(Path(path))
        found += [keep_word(file, name) for file in files]
    return " ".join(map(str, found))
