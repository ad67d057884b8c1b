"""Bad input is one clear line, exit code 2, and nothing opened or written; files of prompts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mezzotint import Picture
from mezzotint.models.bundled import BUNDLED
from mezzotint.models.disk.source import read_defaults

if TYPE_CHECKING:
    from conftest import Cli, Model

BAD = [
    ("--sampler dpmpp2m", "'dpmpp2m' is unknown", "did you mean 'dpmpp-2m'?"),
    ("--spacing karas", "did you mean 'karras'?"),
    ("--steps 0", "steps must be a whole number from 1 to 2000, got 0"),
    ("--steps -1", "got -1"),
    ("--steps 1000000000", "got 1000000000"),
    ("--steps 10**9", "--steps", "integer"),
    ("--guidance cfg(nan)", "is not a plain number"),
    ("--guidance cfg(1e999)", "cfg: scale must be a finite number, got inf"),
    ("--guidance cgf(2)", "did you mean 'cfg'?"),
    ("--size 100x128", "width must be a whole number divisible by 8 from 64 to 2048, got 100"),
    ("--size 128x1000000", "height must be a whole number divisible by 8 from 64 to 2048, got 1000000"),
    ("--size 1000000", "size must be WIDTHxHEIGHT in pixels, such as 128x128, got '1000000'"),
    ("--size １２８x128", "size must be WIDTHxHEIGHT"),
    ("--seed 9223372036854775807 -n 2", "at most 9223372036854775806 where 2 pictures count up"),
    ("--cfg -1", "a guidance scale is 0 or more, got -1; for the formula write cfg(-1)"),
    ("--init none.png --start 25/25", "--start 25/25 leaves no step to draw; STEP is from 0 to 24"),
    ("--init none.png --start 10", "start must be STEP/OF, such as 10/25"),
    ("--init none.png --start 3/0", "--start 3/0: OF is the number of steps, 1 or more"),
    ("--eta 0.5", "eta is for the ddim sampler"),
    ("--eta nan --sampler ddim", "eta must be a finite number"),
    ("--seed -1", "seed must be a whole number from 0"),
    ("-n 0", "'-n'"),
    ("-n 1000000", "'-n'"),
    ("--mode quick", "'--mode'", "'fast', 'exact'"),
    ("--runtime onnx", "'--runtime'", "'openvino'"),
    ("--compat a1111", "'--compat'"),
    ("--sampelr ddim", "No such option: --sampelr", "--sampler"),
    ("--prompts-file missing.txt", "cannot read missing.txt: No such file"),
    ("--prompts-file .", "cannot read .: Is a directory"),
]


@pytest.mark.parametrize("case", BAD, ids=[words for words, *_ in BAD])
def test_bad_options(cli: Cli, toy: Model, case: tuple[str, ...]) -> None:
    words, *wanted = case
    said = cli("generate", "a cat", *words.split())
    assert said.code == 2
    for part in wanted:
        assert part in said.err
    assert toy.asked == []
    assert os.listdir() == []


def test_nothing_asked(cli: Cli, toy: Model) -> None:
    said = cli("generate")
    assert said.code == 2
    assert "give a prompt in quotes, or --prompts-file FILE" in said.err


def test_an_unknown_command_names_the_nearest(cli: Cli) -> None:
    said = cli("generat", "a cat")
    assert said.code == 2
    assert "'generate'" in said.err


def test_a_prompt_a_line(cli: Cli, toy: Model) -> None:
    Path("list.txt").write_text("\ufeff a cat \n\n  a dog\r\ncafé\n", encoding="utf-8")
    said = cli("generate", "first", "--prompts-file", "list.txt", "--steps", 2, "-n", 2)
    made = [Picture.open(line).request for line in said.lines]
    prompts = ["a cat", "a dog", "café", "first"]
    assert sorted((r.prompt, r.seed) for r in made) == [(p, s) for p in prompts for s in (0, 1)]


def test_a_request_a_line_goes_before_the_options(cli: Cli, toy: Model) -> None:
    rows = [{"prompt": "a cat", "sampler": "euler", "guidance": "cfg(3)"}, {"prompt": "a dog", "seed": 9}]
    Path("list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    said = cli("generate", "--prompts-file", "list.jsonl", "--steps", 2, "--sampler", "ddim", "--seed", 3)
    made = sorted((Picture.open(line).request for line in said.lines), key=lambda r: r.prompt)
    assert [(r.prompt, r.seed, r.sampler, str(r.guidance), r.steps) for r in made] == [
        ("a cat", 3, "euler", "cfg(3)", 2),
        (
            "a dog",
            9,
            "ddim",
            read_defaults(BUNDLED["emoji"].path)["guidance"],
            2,
        ),  # of the model's own folder
    ]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('{"promt": "a cat"}', "a request has no 'promt'; did you mean 'prompt'?"),
        ('{"prompt": "a cat", "samplr": "ddim"}', "did you mean 'sampler'?"),
        ('{"prompt": "a cat", "steps": 0}', "steps must be"),
        ('{"prompt": "a cat", "guidance": NaN}', "guidance must be a finite number"),
        ('["a cat"]', "must be a JSON object of a request's fields, got list"),
        ("a cat", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_line_is_named_before_any_work(cli: Cli, toy: Model, line: str, wanted: str) -> None:
    Path("list.jsonl").write_text('{"prompt": "good"}\n\n' + line)
    said = cli("generate", "--prompts-file", "list.jsonl")
    assert said.code == 2
    assert "list.jsonl, line 3: " in said.err
    assert wanted in said.err
    assert toy.asked == []
    assert os.listdir() == ["list.jsonl"]


def test_a_bad_option_is_not_blamed_on_the_file(cli: Cli, toy: Model) -> None:
    Path("list.txt").write_text("a cat")
    said = cli("generate", "--prompts-file", "list.txt", "--steps", 0)
    assert said.code == 2
    assert "list.txt" not in said.err


def test_binary_and_huge_files(cli: Cli, toy: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("list.txt").write_bytes(b"\xff\xfe\x00a")
    assert "list.txt is not UTF-8 text" in cli("generate", "--prompts-file", "list.txt").err
    monkeypatch.setattr("mezzotint.cli.options.MAX_BYTES", 3)
    assert "list.txt is larger than" in cli("generate", "--prompts-file", "list.txt").err


def test_pictures_are_counted_before_they_are_made(cli: Cli, toy: Model) -> None:
    Path("list.txt").write_text("a\n" * 11)
    said = cli("generate", "--prompts-file", "list.txt", "-n", 10_000)
    assert said.code == 2
    assert "110000 pictures in one run; at most 100000" in said.err


def test_a_megabyte_of_prompt_is_cut_with_a_warning(cli: Cli, real: Path) -> None:
    """A known word is one token, 75 of which are read."""
    Path("list.txt").write_text("moon  " * 75 + "cat" + " the" * 250_000)
    said = cli("generate", "--prompts-file", "list.txt", "--model", real, "--dtype", "float32", "--steps", 2)
    assert said.code == 0
    [line] = said.err.splitlines()
    assert line.startswith("warning: ")
    assert "'cat'" in line
    longer = Picture.open(said.lines[0])
    exact = cli("generate", "moon " * 75, "--model", real, "--dtype", "float32", "--steps", 2)
    assert exact.err == ""
    assert Picture.open(exact.lines[0]).digest == longer.digest


def test_an_unknown_model_names_the_nearest(cli: Cli) -> None:
    said = cli("generate", "a cat", "--model", "emojis")
    assert said.code == 2
    assert "did you mean 'emoji'?" in said.err
    assert os.listdir() == []
