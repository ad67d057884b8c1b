"""CLIP's byte-pair tokenizer by the `tokenizers` library alone: transformers takes seconds to import.

The rules are those of transformers' CLIPTokenizer, to which the tests compare it. New words (textual inversion) are
tokens of their own.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from copy import copy
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ModelError
from mezzotint.models.disk.bundle import Bundle
from mezzotint.models.disk.parts import read_json
from mezzotint.prompt import Piece


class Encoded(NamedTuple):
    """What is read of the `tokenizers` library's answer."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class ExtendedTokenizer:
    """The words are found anywhere in a text, whatever their case, as diffusers finds them; the longest first."""

    def __init__(self, bpe: Any, words: Mapping[str, int], first: int) -> None:
        from tokenizers import AddedToken, Tokenizer

        self._bpe = Tokenizer.from_str(bpe.to_str())  # a copy
        self._bpe.add_tokens([AddedToken(word, normalized=True) for word in words])
        starts = accumulate(words.values(), initial=first)
        self._ids = {
            self._bpe.token_to_id(word): tuple(range(start, start + count))
            for start, (word, count) in zip(starts, words.items(), strict=False)
        }

    def encode(self, text: str, add_special_tokens: bool = True) -> Encoded:
        """Ids, and which characters each stands for; a word of several tokens gives its place to each."""
        found = self._bpe.encode(text, add_special_tokens=add_special_tokens)
        pairs = [
            (id_, place)
            for token, place in zip(found.ids, found.offsets, strict=True)
            for id_ in self._ids.get(token, (token,))
        ]
        return Encoded([id_ for id_, _ in pairs], [place for _, place in pairs])

    def token_to_id(self, token: str) -> int | None:
        """None where it is no token."""
        found: int | None = self._bpe.token_to_id(token)
        return found


# Characters that both Python and the tokenizer's regex take for white space.
_WORD = re.compile(r"[^ \t\n\v\f\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_SPLIT = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_START, _END = "<|startoftext|>", "<|endoftext|>"

Spans = tuple[tuple[str, tuple[int, ...]], ...]  # words with the positions of their tokens


class TruncatedPromptWarning(UserWarning):
    """A prompt has more tokens than the text encoder reads; its end has no effect."""


class Tokens(NamedTuple):
    """A text as an encoder reads it."""

    ids: NDArray[np.int64]  # (1, length): start, text, end, padding
    weights: NDArray[np.float32]  # (length,)
    words: int  # tokens before the padding, start and end among them
    warning: str  # what there is to tell where the text is cut


class ClipTokenizer:
    """Text to token ids. `length` counts the start and end tokens too, 77 for CLIP."""

    def __init__(self, folder: Path, length: int = 77, pad_token: str | None = None) -> None:
        settings = _settings(folder)
        vocab, merges = _vocabulary(folder)
        names = {
            role: settings.get(role, default)
            for role, default in (("bos_token", _START), ("eos_token", _END))
        }
        pad = pad_token or settings.get("pad_token", _END)
        self.length = length
        self._bpe = _bpe(folder, vocab, merges, settings.get("unk_token", _END))
        self._bpe.add_special_tokens(_special_tokens(settings, [*names.values(), pad]))
        self._start, self._end, self._pad = (self._id(name, folder) for name in (*names.values(), pad))
        self.words = 1 + max(*vocab.values(), *self._bpe.get_added_tokens_decoder())  # ids are below it
        self._longest_word = 4096 + 4 * length * max(len(token) for token in vocab)

    @classmethod
    def of(cls, bundle: Bundle) -> ClipTokenizer:
        """A model's. ModelError where it gives ids that the model's text encoder lacks."""
        text = bundle.architectures()[2]
        made = cls(bundle.tokenizer, text.length, bundle.pad_token)
        if made.words > text.vocab:
            raise ModelError(
                f"{bundle.tokenizer} has {made.words} words, more words than the text encoder's {text.vocab}; "
                "copy the tokenizer that belongs to the model"
            )
        return made

    def check_new(self, word: str) -> None:
        """ModelError where a text is one token already."""
        if any(
            self._bpe.token_to_id(token) is not None for token in (word, word.lower(), f"{word.lower()}</w>")
        ):
            raise ModelError(f"{word!r} is a word of this model already; take another, such as '<{word}>'")

    def with_words(self, words: Mapping[str, int], first: int) -> ClipTokenizer:
        """The same with new words, each of so many tokens; their ids go on from `first`, the size of the table."""
        for word in words:
            self.check_new(word)
        other = copy(self)
        other._bpe = ExtendedTokenizer(self._bpe, words, first)
        return other

    def __call__(self, text: str) -> NDArray[np.int64]:
        """(1, length) token ids: start, text, end, padding. TruncatedPromptWarning where text is cut."""
        ids, warning = self.encode(text)
        if warning:
            warnings.warn(TruncatedPromptWarning(warning), stacklevel=2)
        return ids

    def encode(self, text: str) -> tuple[NDArray[np.int64], str]:
        """(1, length) token ids, and what there is to tell where text is cut."""
        tokens = self.encode_pieces([Piece(text)])
        return tokens.ids, tokens.warning

    def encode_pieces(self, pieces: Sequence[Piece]) -> Tokens:
        """The tokens of the pieces in turn, each with the weight of its piece; start, end and padding weigh 1."""
        shortened = [Piece(self._keep_first_words(piece.text), piece.weight) for piece in pieces]
        return in_row(self._bpe, shortened, (self._start, self._end, self._pad), self.length)

    def spans(self, pieces: Sequence[Piece]) -> Spans:
        """Each word that is read, see `spans_in_row`."""
        return spans_in_row(self._bpe, [Piece(self._keep_first_words(p.text)) for p in pieces], self.length)

    def _id(self, token: str, folder: Path) -> int:
        found: int | None = self._bpe.token_to_id(token)
        if found is None:
            raise ModelError(f"{folder}: the vocabulary lacks the token {token!r}")
        return found

    def _keep_first_words(self, text: str) -> str:
        """The words that decide the tokens that are read: each gives one token or more, white space none.

        One giant word is cut far behind the last token that can be read.
        """
        words = (found.group()[: self._longest_word] for found in _WORD.finditer(text))
        return " ".join(islice(words, self.length))


def in_row(tokenizer: Any, pieces: Sequence[Piece], marks: tuple[int, int, int], length: int) -> Tokens:
    """The pieces' tokens in one row of `length`; `marks` are the ids of start, end and padding."""
    ids: list[int] = []
    weights: list[float] = []
    room, warning = length - 2, ""
    for piece in pieces:
        found = tokenizer.encode(piece.text, add_special_tokens=False)
        left = room - len(ids)
        ids += found.ids[:left]
        weights += [piece.weight] * len(found.ids[:left])
        if len(found.ids) > left:
            word = _word_at(piece.text, found.offsets[left][0])
            warning = f"the prompt is longer than {room} tokens; all from the word {word!r} on has no effect"
            break
    start, end, pad = marks
    row = [start, *ids, end]
    padding = length - len(row)
    heavy = np.array([1, *weights, *[1] * (1 + padding)], np.float32)
    return Tokens(np.array([row + [pad] * padding], np.int64), heavy, len(row), warning)


def _bpe(folder: Path, vocab: dict[str, int], merges: list[tuple[str, str]], unknown: str) -> Any:
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import BPE

    try:
        model = BPE(vocab, merges, continuing_subword_prefix="", end_of_word_suffix="</w>", unk_token=unknown)
    except Exception as error:  # the library raises no narrower type
        raise ModelError(f"{folder}: the vocabulary is damaged ({error}); copy the folder again") from error
    bpe = Tokenizer(model)
    bpe.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    split = pre_tokenizers.Split(Regex(_SPLIT), behavior="removed", invert=True)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return bpe


def _special_tokens(settings: dict[str, Any], names: list[str]) -> list[Any]:
    """The tokens that are found in a text before it is split, with the flags that their files give them."""
    from tokenizers import AddedToken

    flags = settings["added"]
    return [AddedToken(name, special=True, **flags.get(name, {})) for name in dict.fromkeys([*flags, *names])]


def _settings(folder: Path) -> dict[str, Any]:
    """Names of the special tokens, and under "added" the flags of tokens that files list."""
    config = _optional(folder / "tokenizer_config.json")
    listed = config.get("added_tokens_decoder")
    entries = list(listed.values()) if isinstance(listed, dict) else []
    if not entries:  # as in transformers, the older files speak where the config lists no tokens
        config.update(_optional(folder / "special_tokens_map.json"))
        found = _optional(folder / "tokenizer.json").get("added_tokens")
        entries = list(found) if isinstance(found, list) else []
        entries += [{"content": name, "normalized": True} for name in _optional(folder / "added_tokens.json")]
    roles = {role: config.get(f"{role}_token") for role in ("bos", "eos", "unk", "pad")}
    marks = [mark for mark in (*roles.values(), *entries) if isinstance(mark, dict)]
    names = {f"{role}_token": _content(value) for role, value in roles.items() if value}
    return {**names, "added": {_content(mark): _flags(mark) for mark in marks}}


def _content(mark: Any) -> str:
    """The text of a token that is written as itself, or with its flags."""
    return str(mark.get("content", "")) if isinstance(mark, dict) else str(mark)


def _flags(entry: dict[str, Any]) -> dict[str, bool]:
    return {
        flag: bool(entry[flag]) for flag in ("single_word", "lstrip", "rstrip", "normalized") if flag in entry
    }


def _vocabulary(folder: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Tokens with their ids, and merges in order: from vocab.json and merges.txt, or from tokenizer.json."""
    if (folder / "vocab.json").is_file():
        vocab, rows = read_json(folder / "vocab.json"), _merges(folder / "merges.txt")
    else:
        model = read_json(folder / "tokenizer.json").get("model")
        if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
            raise ModelError(f"{folder / 'tokenizer.json'} holds no byte-pair vocabulary")
        vocab, rows = model.get("vocab", {}), model.get("merges", [])
    pairs: list[Any] = [tuple(row.split(" ") if isinstance(row, str) else row) for row in rows]
    if not vocab or any(len(pair) != 2 for pair in pairs):
        raise ModelError(f"{folder}: the vocabulary is damaged; copy the tokenizer folder again")
    return vocab, pairs


def _merges(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error
    return [line.rstrip("\r") for line in lines if line.strip() and not line.startswith("#version")]


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _bare(word: re.Match[str]) -> tuple[int, int]:
    """Where a word begins and ends without the punctuation around it; nowhere where there is nothing else."""
    letters = [i for i, c in enumerate(word.group(), word.start()) if unicodedata.category(c)[0] != "P"]
    return (letters[0], letters[-1] + 1) if letters else (word.start(), word.start())


def spans_in_row(tokenizer: Any, pieces: Sequence[Piece], length: int) -> Spans:
    """Each word of the pieces, without the punctuation around it, with its tokens' positions in the row.

    `<start>` comes first; last comes `<end>`, which takes in the padding. What is cut has no position.
    """
    words: list[tuple[str, tuple[int, ...]]] = []
    done = 1  # tokens so far, the start among them
    for piece in pieces:
        places = tokenizer.encode(piece.text, add_special_tokens=False).offsets[: length - 1 - done]
        for begin, end in map(_bare, _WORD.finditer(piece.text)):
            at = [done + i for i, (a, b) in enumerate(places) if a < end and b > begin]
            words += [(piece.text[begin:end], tuple(at))] if at else []
        done += len(places)
    return (("<start>", (0,)), *words, ("<end>", tuple(range(done, length))))


def _word_at(text: str, place: int) -> str:
    """The word of a text that holds this character, at most 40 characters of it."""
    start = next((m for m in _WORD.finditer(text) if m.end() > place), None)
    return start.group()[:40] if start else text[place : place + 40]
