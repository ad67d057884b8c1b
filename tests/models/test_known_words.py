"""What a model says that it knows, by the words of its captions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mezzotint.errors import ModelError
from mezzotint.models import BUNDLED
from mezzotint.models.known_words import PARTS, KnownWords

KNOWN = KnownWords(
    {"cat": ("kitten",), "berry": ()}, ("striped",), ("flat vector",), ("sky blue",), ("in space",)
)


@pytest.mark.parametrize(
    "text",
    ["a cat", "Two CATS!", "the kitten's bed", "berries", "striped socks", "einstein in space", "(blue:1.2)"],
)
def test_known_words_knows_a_text_with_a_word_of_captions(text: str) -> None:
    assert KNOWN.knows(text)


@pytest.mark.parametrize(
    "text", ["", "einstein", "a picture of einstein in the kitchen", "猫", "catastrophe", "1999"]
)
def test_known_words_knows_no_text_of_other_words(text: str) -> None:
    assert not KNOWN.knows(text)


def test_known_words_are_read_as_they_were_written(tmp_path: Path) -> None:
    KNOWN.write(tmp_path)
    assert KnownWords.read(tmp_path) == KNOWN
    assert KnownWords.read(tmp_path / "elsewhere") is None


def test_known_words_grow_with_captions() -> None:
    grown = KNOWN.with_captions(["a sketch of Einstein"])
    assert grown.knows("einstein") and grown.knows("a cat")
    assert grown.objects == KNOWN.objects


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"color": []}, "did you mean 'colors'?"),
        ({"colors": "red"}, "colors is not a list of words"),
        ({"objects": ["cat"]}, "objects is an object of names"),
        ({"objects": {"cat": "kitten"}}, "objects is not a list of words"),
    ],
)
def test_known_words_of_a_damaged_file_are_refused(content: object, message: str, tmp_path: Path) -> None:
    (tmp_path / "words.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"words\.json") as caught:
        KnownWords.read(tmp_path)
    assert message in str(caught.value)


def test_known_words_of_the_bundled_model_fill_every_part() -> None:
    known = KnownWords.read(BUNDLED["emoji"].path)
    assert known and all(known.listing(part) for part in PARTS)
