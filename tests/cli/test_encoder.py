"""`--encoder`: what it says reaches the request, and a mistake is told before a model is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mezzotint import Picture

if TYPE_CHECKING:
    from conftest import Cli, Model


def test_the_encoder_reaches_the_request_in_its_canonical_words(cli: Cli, toy: Model) -> None:
    said = cli("generate", "a cat", "--steps", 2, "--encoder", ".70*clip+.3*bert")
    assert Picture.open(said.lines[0]).request.encoder == "0.7*clip + 0.3*bert"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a cat", "--encoder", "bort"), "did you mean 'bert'"),
        (("a (cat:1.2", "--negative", "(dog:12)"), "a weight in a prompt is at most 10"),
    ],
)
def test_a_mistake_is_told_before_any_work(cli: Cli, toy: Model, words: tuple[str, ...], said: str) -> None:
    answer = cli("generate", *words)
    assert (answer.code, toy.asked) == (2, [])
    assert said in answer.err


def test_an_encoder_that_does_not_fit_the_model_is_one_line(cli: Cli, real: object) -> None:
    answer = cli(
        "generate", "a cat", "--steps", 1, "--model", real, "--dtype", "float32", "--encoder", "bert"
    )
    assert answer.code != 0
    assert "32 wide" in answer.err
