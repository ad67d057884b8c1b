"""What there is, as a table and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mezzotint.models import BUNDLED
from mezzotint.samplers import SAMPLERS

if TYPE_CHECKING:
    from conftest import Cli


def test_samplers(cli: Cli) -> None:
    rows = {row["name"]: row for row in map(json.loads, cli("samplers", "--json").lines)}
    assert list(rows) == list(SAMPLERS)
    assert {name: row["evaluations"] for name, row in rows.items() if row["evaluations"] != 25} == {
        "heun": 49,
        "pndm": 26,
    }
    assert (
        rows["dpmpp-2m-sde"]["diffusers"] == "DPMSolverMultistepScheduler(algorithm_type='sde-dpmsolver++')"
    )
    table = cli("samplers").out
    for row in rows.values():
        for word in (row["name"], row["diffusers"], str(row["evaluations"])):
            assert word in table


def test_fresh_noise_is_told_truly() -> None:
    from mezzotint import Request
    from mezzotint.planning import plan
    from mezzotint.schedule import Schedule

    schedule = Schedule.from_config({"beta_schedule": "scaled_linear"})
    noisy = {name for name in SAMPLERS if plan(Request(sampler=name), schedule).noise_std.any()}
    assert noisy == {name for name, sampler in SAMPLERS.items() if sampler.noise == "every step"}


def test_models(cli: Cli) -> None:
    rows = [json.loads(line) for line in cli("models", "--json").lines]
    assert [row["name"] for row in rows] == list(BUNDLED)
    assert rows[0]["size"] == "128x128"
    said = cli("models")
    assert (said.code, said.err) == (0, "")
    assert "emoji" in said.out


def test_models_list_the_words_that_one_knows(cli: Cli) -> None:
    assert "cat: house cat, kitten, kitty, tabby cat" in cli("models", "emoji", "--words", "cat").lines
    assert cli("models", "emoji", "--words", "colors").lines[0] == "red"
    parts = [line for line in cli("models", "emoji", "--words").lines if "):" in line]
    assert [line.split()[0] for line in parts] == ["objects", "styles", "colors", "places"]
    [row] = [json.loads(line) for line in cli("models", "emoji", "teal", "--words", "--json").lines]
    assert row == {"part": "colors", "word": "teal", "others": []}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "emoji --words einstein",
            "emoji knows no word with 'einstein'; parts are objects, styles, colors, places",
        ),
        ("faces --words", "faces draws without a prompt"),
        (". --words", "has no words.json"),
        ("emoij --words", "no model 'emoij' is here"),
        ("elsewhere", "add --words to list what a model knows"),
    ],
)
def test_models_say_why_no_words_are_listed(cli: Cli, words: str, message: str) -> None:
    said = cli("models", *words.split())
    assert said.code == 2
    assert message in said.err
