"""New words (textual inversion, 2208.01618): files of embeddings, kept by their content, as rows behind a table.

How a file spells them:
    diffusers   {"<cat-toy>": (width,) or (k, width)}, usually learned_embeds.safetensors; several words, too
    A1111       {"emb_params": (k, width)}, and the word is the file's name
    two towers  {"clip_l": (k, 768), "clip_g": (k, 1280)}, likewise; the one as wide as the model is read
    OneTrainer  {"bundle_emb.WORD.emb_params": (k, width)} in a LoRA file, also clip_l and string_to_param.*
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mezzotint.errors import ModelError, RequestError
from mezzotint.expressions import NewWord, check_word_name
from mezzotint.models.disk.weights import Tensor, TensorFile
from mezzotint.models.runtime import Floats
from mezzotint.models.weight_files import EMBEDDING_KEYS, ContentStore, kind_of

FILE_NAME = "learned_embeds.safetensors"
MOST_ROWS = 75  # more than these no text encoder reads

_BUNDLED = re.compile(r"bundle_emb\.(?P<word>.+)\.(?P<key>emb_params|clip_[lgh]|string_to_param\.\*)")
_SHELF = ContentStore("words", "word", "embedding of a word", "--word", 64 << 20)

Rows = Mapping[str, Tensor]  # (k, width) or (width,) by text tower, of one word


def keep_word(path: str | os.PathLike[str], name: str = "", cache: Path | None = None) -> NewWord:
    """Take the file of a word, or the folder of one, into the cache. `name`: how prompts say it, else as the file does.

    ModelError where it holds none or several, or is pickled; OutputError where nothing can be kept.
    """
    words = keep_word_file(path, name, cache)
    if len(words) > 1:
        raise ModelError(f"{path} holds {len(words)} words; generate(..., words=[path]) takes them all")
    return words[0]


def keep_word_file(path: str | os.PathLike[str], name: str = "", cache: Path | None = None) -> list[NewWord]:
    """Take a file of one word or several, as `keep_word`; of several, each by the file's own name for it."""
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    file = _SHELF.open(path)
    words = words_of(file)
    if len(words) == 1:
        own = next(iter(words))
        return [NewWord(check_word_name(name or own), _SHELF.keep(path, cache))]
    if name:
        raise ModelError(f"{path} holds {len(words)} words, each with a name; leave {name}= out")
    return [_keep_rows(word, rows, file, cache) for word, rows in words.items()]


def keep_words(given: Sequence[str], brought: Sequence[NewWord] = ()) -> str:
    """`Request.words` of new words, each `PATH` or `NAME=PATH`; they are kept by their content.

    `brought`: words in LoRA files; one that is given by its name takes the place of theirs.
    """
    words = []
    for text in given:
        name, named, path = text.partition("=") if "=" in text and not Path(text).exists() else ("", "", text)
        files = [Path(path)] if named else files_in(Path(path))
        words += [word for file in files for word in keep_word_file(file, name)]
    names = {word.name.lower() for word in words}
    for word in brought:
        if word.name.lower() not in names:
            names.add(word.name.lower())
            words.append(word)
    return " ".join(map(str, words))


def keep_bundled_words(file: TensorFile, cache: Path | None = None) -> list[NewWord]:
    """Take the words of a LoRA file into the cache; one that no prompt could say is left out with a warning."""
    bundles: dict[str, dict[str, Tensor]] = {}
    for name, tensor in file.items():
        if found := _BUNDLED.fullmatch(name):
            key = "emb_params" if found["key"].startswith("string") else found["key"]
            bundles.setdefault(found["word"], {})[key] = tensor
    words = []
    for word, rows in bundles.items():
        try:
            words.append(_keep_rows(word, rows, file, cache))
        except (ModelError, RequestError) as error:
            warnings.warn(f"{file.path}: a word of it is left out: {error}", stacklevel=2)
    return words


def _keep_rows(word: str, rows: Rows, file: TensorFile, cache: Path | None) -> NewWord:
    """A file of its own for a word that shares one with others."""
    from safetensors.numpy import save

    check_word_name(word)
    for tensor in rows.values():
        _check_shape(tensor, file)
    keys = (
        dict(zip(rows, rows, strict=True))
        if set(rows) <= set(EMBEDDING_KEYS)
        else dict.fromkeys(rows, "emb_params")
    )
    content = save({keys[key]: np.array(tensor.read(), np.float32) for key, tensor in rows.items()})
    return NewWord(word, _SHELF.keep_bytes(content, f"{word} of {file.path}", cache))


def files_in(path: Path) -> list[Path]:
    """A file as it is; of a folder diffusers' file, or all, as A1111's folder of embeddings has them."""
    if not path.is_dir() or (path / FILE_NAME).exists():
        return [path]
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise ModelError(f"{path} holds no word; a word is a .safetensors file such as {FILE_NAME}")
    return files


def words_of(file: TensorFile) -> dict[str, Rows]:
    """What a file holds, word by word. ModelError where it holds something else."""
    for tensor in file.values():
        if len(tensor.shape) not in (1, 2) and len(file) == 1:
            _check_shape(tensor, file)
    if file and set(file) <= set(EMBEDDING_KEYS):
        words: dict[str, Rows] = {file.path.stem: dict(file)}
    elif file and all(_may_be_word(name, tensor) for name, tensor in file.items()):
        words = {name: {name: tensor} for name, tensor in file.items()}
    else:
        kind = kind_of(file) or f"no textual inversion ({len(file)} tensors)"
        advice = "give it with --lora" if kind.startswith("a LoRA") else "--word takes embeddings of words"
        raise ModelError(f"{file.path} is {kind}; {advice}")
    for rows in words.values():
        for tensor in rows.values():
            _check_shape(tensor, file)
    return words


def _may_be_word(name: str, tensor: Tensor) -> bool:
    return len(tensor.shape) in (1, 2) and not name.endswith((".weight", ".bias", ".alpha"))


def _check_shape(tensor: Tensor, file: TensorFile) -> None:
    shape = tensor.shape
    if len(shape) not in (1, 2) or not 1 <= (shape[0] if len(shape) == 2 else 1) <= MOST_ROWS:
        raise ModelError(
            f"{file.path}: {list(shape)} is no embedding of a word; it has [width] or [tokens, width]"
        )


def kept_rows(words: tuple[NewWord, ...], width: int) -> Mapping[str, Tensor]:
    """Word by word what its file holds. RequestError where it is not kept here, ModelError where it does not fit."""
    return {word.name: _rows_of(word, width) for word in words}


def _rows_of(word: NewWord, width: int) -> Tensor:
    [rows] = words_of(TensorFile.open(_find_file(word))).values()
    fits = [tensor for tensor in rows.values() if tensor.shape[-1] == width]
    if not fits:
        widths = " and ".join(str(tensor.shape[-1]) for tensor in rows.values())
        here = f"the word {word.name} is {widths} numbers wide, the model's are {width}"
        raise ModelError(f"{here}; it was learned with another model ({_SHELF.name_of(word.digest)})")
    return fits[0]


def _find_file(word: NewWord) -> Path:
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
