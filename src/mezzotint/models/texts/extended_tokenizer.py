"""A byte-pair tokenizer that knows new words, each as one or several tokens of its own."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NamedTuple


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
