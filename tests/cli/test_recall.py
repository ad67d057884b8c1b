"""`mezzotint recall` and `generate --like`: what a picture tells, and drawing it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mezzotint.picture import Picture
from mezzotint.request import Request
from support import foreign_pictures as files

if TYPE_CHECKING:
    from conftest import Cli, Model

SMALL = files.A1111.replace("512x768", "64x64").replace("Steps: 20", "Steps: 3")


def test_recall_says_what_is_known_guessed_and_missing(cli: Cli) -> None:
    path = files.png(
        Path("a.png"), parameters=files.A1111.replace("RNG: CPU, ", "").replace("Schedule type: Karras, ", "")
    )
    said = cli("recall", path)
    assert said.code == 0 and said.err == ""
    for line in (
        "drawn by AUTOMATIC1111",
        "model: v1-5-pruned (hash 6ce0161689)",
        "seed: 965400086",
        "sampler: dpmpp-2m",
    ):
        assert line in said.lines
    assert any(line.startswith("guessed: schedule Karras") for line in said.lines)
    assert any(line.startswith("not known: its noise") for line in said.lines)


def test_recall_prints_a_request_as_json(cli: Cli) -> None:
    said = cli("recall", files.png(Path("a.png"), parameters=files.A1111), "--json")
    request = Request.from_json(said.out)
    assert (request.seed, request.width, request.spacing) == (965400086, 512, "karras")
    assert "LoRA 'style'" in said.err


def test_generate_like_draws_the_recipe_and_options_go_before(cli: Cli, toy: Model) -> None:
    path = files.png(Path("a.png"), parameters=SMALL)
    said = cli("generate", "--like", path, "--seed", 5, "--model", "somewhere")
    assert said.code == 0
    drawn = Picture.open(said.lines[0]).request
    assert (drawn.seed, drawn.steps, drawn.sampler, drawn.guidance) == (5, 3, "dpmpp-2m", "cfg(7)")
    assert drawn.prompt.startswith("a (red:1.2) cup")
    assert "its model was v1-5-pruned (hash 6ce0161689); this is drawn by somewhere" in said.err
    other = cli("generate", "a dog", "--like", path, "--sampler", "euler", "--model", "somewhere")
    drawn = Picture.open(other.lines[0]).request
    assert (drawn.prompt, drawn.sampler, drawn.seed) == ("a dog", "euler", 965400086)


def test_generate_like_a_picture_of_ours_is_the_same_picture(cli: Cli, toy: Model) -> None:
    first = Path(
        cli("generate", "a cat", "--steps", 4, "--sampler", "ddim", "--eta", 0.5, "--seed", 3).lines[0]
    )
    again = Path(cli("generate", "--like", first, "--out", "again").lines[0])
    assert Picture.open(first).digest == Picture.open(again).digest
    other = Picture.open(cli("generate", "--like", first, "--sampler", "euler").lines[0])
    assert (other.request.sampler, other.request.eta) == ("euler", 0)


def test_generate_like_takes_the_start_of_a_picture_with_init(cli: Cli, toy: Model) -> None:
    path = files.png(Path("a.png"), parameters=SMALL.replace("RNG", "Denoising strength: 0.4, RNG"))
    said = cli(
        "generate", "--like", path, "--init", path
    )  # the toy has no encoder, and says where it would begin
    assert "before step 2 of 3" in said.err and "--start 1/3" in said.err


def test_a_picture_without_a_recipe_is_one_line(cli: Cli) -> None:
    path = files.png(Path("a.png"), Title="a cat")
    for words in (("recall", path), ("generate", "--like", path), ("recall", "missing.png")):
        assert cli(*words).code == 2
    assert not Path("out").exists()
