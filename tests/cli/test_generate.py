"""Pictures from prompts: what is asked for is made, saved at once, and told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from PIL import Image

from mezzotint import Picture, Request
from mezzotint.cli import generate, main
from mezzotint.engine import Mode
from mezzotint.models import opening
from mezzotint.models.disk.source import defaults_of
from mezzotint.precision import DTYPES

if TYPE_CHECKING:
    from conftest import Cli, Model


def test_a_prompt_makes_a_picture_in_out(cli: Cli, toy: Model) -> None:
    said = cli("generate", "a red rose", "--seed", 7)
    assert (said.code, said.err) == (0, "")
    [line] = said.lines
    assert line.startswith(os.path.join("out", "7-a-red-rose-"))
    assert Picture.open(line).request == Request("a red rose", seed=7, **defaults_of("emoji"))
    assert os.listdir("out") == [Path(line).name]
    assert toy.asked == [("emoji", "auto", "auto")]


def test_every_option_reaches_the_request(cli: Cli, toy: Model) -> None:
    words = "--negative blur --seed 5 --steps 3 --sampler ddim --spacing trailing --eta 0.5 --size 72x64"
    said = cli("generate", "", *words.split(), "--guidance", "cfg(2, stop=0.5)", "--compat", "diffusers")
    wanted = Request(
        "", "blur", 5, 72, 64, 3, "ddim", "trailing", 0.5, "cfg(2, stop=0.5)", compat="diffusers"
    )
    picture = Picture.open(said.lines[0])
    assert picture.request == wanted
    assert picture.image.size == (72, 64)


def test_model_runtime_precision_and_mode(cli: Cli, toy: Model) -> None:
    words = "--model other --runtime torch --dtype float32 --mode exact --steps 2 --out deep/er"
    said = cli("generate", "a cat", *words.split())
    assert toy.asked == [("other", "torch", "fp32")]
    assert Picture.open(said.lines[0]).provenance.mode == "exact"
    assert Path(said.lines[0]).parent == Path("deep/er")


def test_choices_are_those_of_the_library() -> None:
    assert get_args(generate.Mode) == get_args(Mode)
    assert set(get_args(generate.Runtime)) == set(get_args(opening.RuntimeName))
    assert set(DTYPES.values()) == set(get_args(opening.DtypeName))


def test_prompts_share_one_engine(cli: Cli, toy: Model) -> None:
    said = cli("generate", "a cat", "a dog", "-n", 3, "--seed", 4, "--steps", 5)
    made = [Picture.open(line).request for line in said.lines]
    assert sorted((r.prompt, r.seed) for r in made) == [(p, s) for p in ("a cat", "a dog") for s in (4, 5, 6)]
    assert toy.calls == [(12, 16)] * 5


def test_json_has_an_object_a_line(cli: Cli, toy: Model) -> None:
    said = cli("generate", "a cat", "-n", 2, "--steps", 4, "--sampler", "heun", "--json")
    assert len(said.lines) == 2
    for seed, facts in enumerate(sorted(map(json.loads, said.lines), key=lambda f: f["seed"])):
        picture = Picture.open(facts["path"])
        assert facts["digest"] == picture.digest
        assert facts["request"] == picture.request.digest
        assert (facts["seed"], facts["prompt"], facts["evaluations"]) == (seed, "a cat", 7)
        assert facts["seconds"] > 0


def test_one_that_fails_leaves_the_others(cli: Cli, toy: Model) -> None:
    toy.poison = lambda t: float("nan")
    said = cli("generate", "a cat", "sick \x1b[2J\nthing", "a dog", "--steps", 3)
    assert said.code == 1
    assert sorted(Picture.open(line).request.prompt for line in said.lines) == ["a cat", "a dog"]
    [line] = said.err.splitlines()
    assert line.startswith("error: 'sick")
    assert "seed 0: step 1 of 3 (dpmpp-2m): the network gave NaN" in line
    assert "\x1b" not in line


def test_when_all_fail_nothing_is_written(cli: Cli, toy: Model) -> None:
    toy.poison = lambda t: float("nan")
    said = cli("generate", "sick", "-n", 2, "--steps", 3)
    assert (said.code, said.out, said.err.count("error: ")) == (1, "", 2)
    assert os.listdir() == []


def test_a_full_disk_ends_the_run_and_tears_nothing(
    cli: Cli, toy: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def fsync(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) > 2:  # the first picture, and its folder
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    assert main(["generate", "a cat", "-n", "64", "--steps", "50"]) == 2
    [name] = os.listdir("out")
    assert Picture.open(os.path.join("out", name)).request.prompt == "a cat"
    assert len(toy.calls) < 64 // 8 * 50  # the rest was given up


def test_the_same_picture_takes_its_own_place(cli: Cli, toy: Model) -> None:
    first = cli("generate", "a cat", "--steps", 3).lines
    assert cli("generate", "a cat", "--steps", 3).lines == first
    toy.digest = "f" * 64  # another model
    assert cli("generate", "a cat", "--steps", 3).lines != first
    assert len(os.listdir("out")) == 2


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        ("a", (2, 64, 64)),
        ("a --guidance none", (1, 64, 64)),
        ("a -n 3 --size 64x72", (8, 64, 72)),
        ("a -n 99", (16, 64, 64)),
        ("a --mode exact", (8, 64, 64)),
    ],
)
def test_networks_are_compiled_early_for_the_first_call(cli: Cli, toy: Model, words: str, rows: Any) -> None:
    cli("generate", *words.split(), "--steps", 2)
    assert toy.prepared == [rows]
    assert toy.calls[0][1] == rows[0]


def test_python_minus_m(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    import runpy

    monkeypatch.setattr("sys.argv", ["mezzotint", "--version"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("mezzotint", run_name="__main__")
    assert end.value.code == 0
    assert capsys.readouterr().out == "mezzotint 0.1.0\n"


def test_no_command_is_help(cli: Cli) -> None:
    said = cli()
    assert said.code == 0
    for name in ("generate", "replay", "models", "samplers", "data", "train"):
        assert name in said.out
    assert cli("--help").out.split() == said.out.split()


def test_grid_holds_all_pictures_and_is_told_last(cli: Cli, toy: Model) -> None:
    said = cli("generate", "a cat", "-n", 4, "--steps", 2, "--grid")
    assert len(said.lines) == 5 and said.lines[-1] == os.path.join("out", "grid.png")
    with Image.open(said.lines[-1]) as grid, Image.open(said.lines[0]) as one:
        assert grid.size == (2 * one.width + 4, 2 * one.height + 4)
