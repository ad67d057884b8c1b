"""Which tokens a word has: told by their ids, whatever stands around the word."""

from __future__ import annotations

from pathlib import Path

import pytest

from mezzotint.models.texts.tokenizer import ClipTokenizer
from mezzotint.prompt import Piece, parse
from support import tiny


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> ClipTokenizer:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    tiny.make_tokenizer(folder)
    return ClipTokenizer(folder)


@pytest.mark.parametrize(
    "text",
    [
        "the cat on the moon",
        '"The cat", (on) the moon!',
        "  a\tmoon's T-shirt -- 1980 ",
        "café 東京 👩‍👩‍👧 ☂",
        "(the cat:1.5) on",
    ],
)
def test_a_words_tokens_are_those_of_the_word_alone(words: ClipTokenizer, text: str) -> None:
    row = words.encode_pieces(parse(text)).ids[0]
    (start, at), *spans, (end, after) = words.spans(parse(text))
    assert (start, at, end) == ("<start>", (0,), "<end>")
    assert len(spans) > 1
    for word, tokens in spans:
        alone = words.encode_pieces([Piece(word)])
        assert row[list(tokens)].tolist() == alone.ids[0, 1 : alone.words - 1].tolist(), word
    assert after == tuple(range(words.encode_pieces(parse(text)).words - 1, 77))


def test_punctuation_is_no_part_of_a_word(words: ClipTokenizer) -> None:
    spans = words.spans([Piece("a cat, (on) -- the moon!")])
    assert [word for word, _ in spans] == ["<start>", "a", "cat", "on", "the", "moon", "<end>"]
    assert spans[2:4] == (("cat", (2,)), ("on", (5,)))


def test_what_is_cut_has_no_tokens(words: ClipTokenizer) -> None:
    spans = words.spans([Piece("cat " * 74 + "unreadable cat")])
    assert spans[-2] == ("unreadable", (75,))
    assert spans[-1] == ("<end>", (76,))
    assert words.spans([Piece("cat " * 75), Piece("moon")])[-2] == ("cat", (75,))


def test_no_words(words: ClipTokenizer) -> None:
    assert words.spans(parse("")) == (("<start>", (0,)), ("<end>", tuple(range(1, 77))))
