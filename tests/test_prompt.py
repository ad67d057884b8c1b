"""Weights in prompts: only the form with a number is markup; everything else is text, to the letter."""

from __future__ import annotations

from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.errors import RequestError
from mezzotint.prompt import Piece, parse, plain
from mezzotint.request import Request

READ = {
    "": [("", 1)],
    "a cat": [("a cat", 1)],
    "a (red:1.5) cat": [("a ", 1), ("red", 1.5), (" cat", 1)],
    "(a (red:1.5) cat:2)": [("a ", 2), ("red", 3), (" cat", 2)],
    "((a:2):3)": [("a", 6)],
    "(a cat : .5 )": [("a cat ", 0.5)],
    "(a:-1)": [("a", -1)],
    "(a:1.0) b": [("a b", 1)],
    "(:2)a": [("a", 1)],
    "Red Rose (still life)": [("Red Rose (still life)", 1)],
    "(a (still life) b:2)": [("a (still life) b", 2)],
    "(still (a:2) life)": [("(still ", 1), ("a", 2), (" life)", 1)],
    "((a)) [b] [c:2]": [("((a)) [b] [c:2]", 1)],
    "ratio 1:2) and (x": [("ratio 1:2) and (x", 1)],
    "(a:b)": [("(a:b)", 1)],
    "(a:1.2.3) (b:2)": [("(a:1.2.3) ", 1), ("b", 2)],
    "(a:nan) (b:inf) (c:1e2)": [("(a:nan) (b:inf) (c:1e2)", 1)],
    r"\(a:2\)": [("(a:2)", 1)],
    r"(\(a\) b:2)": [("(a) b", 2)],
    r"a\b \\ c": [(r"a\b \\ c", 1)],
}


@pytest.mark.parametrize("text", READ)
def test_pieces(text: str) -> None:
    assert [(piece.text, piece.weight) for piece in parse(text)] == READ[text]


@given(st.text())
def test_without_weights_and_escapes_a_prompt_is_itself(text: str) -> None:
    text = text.replace("\\", "/").replace(":", ";")
    assert parse(text) == (Piece(text),)


@given(st.text(st.sampled_from("a (:12.)\\\n")))
def test_nothing_is_lost_but_markup(text: str) -> None:
    try:
        left = plain(text)
    except RequestError:
        return
    letters = iter(text)
    assert all(letter in letters for letter in left)  # a subsequence
    assert left.count("a") == text.count("a")


@pytest.mark.parametrize("text", ["(a:11)", "(a:-10.5)", "((a:4):4)", "(a:" + "9" * 400 + ")"])
def test_a_weight_beyond_ten_is_refused_before_any_work(text: str) -> None:
    with pytest.raises(RequestError, match=r"at most 10.*\\\("):
        Request(prompt=text)
    with pytest.raises(RequestError, match="at most 10"):
        Request(negative_prompt=text)


@pytest.mark.parametrize("unit", ["(", ")", "(a:1)", ":", ": ", "(:1", "1", "\\(", "(a:" + "1" * 20])
def test_ten_thousand_characters_are_quick(unit: str) -> None:
    started = thread_time()
    parse((unit * 10_000)[:10_000])
    assert thread_time() - started < 2
