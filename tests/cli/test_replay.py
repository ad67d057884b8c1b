"""A picture is made again from its file alone, and what differs is said."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from mezzotint import Picture
from mezzotint.cli.replay import _differences
from mezzotint.models import BUNDLED
from mezzotint.models.bundled import BundledModel

if TYPE_CHECKING:
    from conftest import Cli, Model

ON = ("--model", "somewhere")


@pytest.fixture
def made(cli: Cli, toy: Model) -> Path:
    path = Path(cli("generate", "a cat", "--steps", 4, "--sampler", "euler-a", "--seed", 3).lines[0])
    toy.asked.clear()
    return path


def changed(path: Path, by: int, **provenance: object) -> Path:
    """The picture, brighter by this much in one value."""
    picture = Picture.open(path)
    r, g, b = picture.image.getpixel((5, 6))  # type: ignore[misc]
    picture.image.putpixel((5, 6), (r, g - by if g >= by else g + by, b))
    replace(picture, provenance=replace(picture.provenance, **provenance)).save("changed.png")  # type: ignore[arg-type]
    return Path("changed.png")


def test_the_same_again(cli: Cli, toy: Model, made: Path) -> None:
    said = cli("replay", made, *ON)
    assert said.code == 0
    assert said.lines == [
        "largest difference: 0 of 255, within the 2 that fast promises",
        "the same model, runtime, precision, versions and device",
    ]
    assert toy.asked == [("somewhere", "numpy", "float32")]
    assert os.listdir() == ["out"]
    assert os.listdir("out") == [made.name]


@pytest.mark.parametrize(
    ("mode", "by", "code"), [("fast", 2, 0), ("fast", 3, 1), ("exact", 0, 0), ("exact", 1, 1)]
)
def test_the_promise_of_the_mode_decides(cli: Cli, made: Path, mode: str, by: int, code: int) -> None:
    said = cli("replay", changed(made, by, mode=mode), *ON)
    assert said.code == code
    assert f"largest difference: {by} of 255, {'beyond' if code else 'within'}" in said.out


def test_what_differs_is_said(cli: Cli, toy: Model, made: Path) -> None:
    foreign = changed(
        made, 0, device="cuda", runtime="torch", versions={"torch": "1\x1b[2J"}, model_digest="e" * 64
    )
    said = cli("replay", foreign, *ON, "--runtime", "openvino", "--mode", "exact")
    assert said.lines[1:] == [
        "model toy eeeeeeeeee, now toy 0123456789",
        "runtime torch, now numpy",
        "mode fast, now exact",
        "device cuda, now cpu",
        "mezzotint none, now 0.1.0",
        f"numpy none, now {np.__version__}",
        "torch 1 [2J, now none",
    ]
    assert toy.asked == [("somewhere", "openvino", "float32")]


def test_another_number_of_threads_is_said(cli: Cli, toy: Model, made: Path) -> None:
    said = cli("replay", changed(made, 0, threads=8), *ON)
    assert said.lines[1:] == ["threads 8, now not recorded"]
    now = replace(Picture.open(made).provenance, threads=2)
    assert list(_differences(replace(now, threads=8), now)) == ["threads 8, now 2"]


def test_other_encoders_and_pairs_are_said(made: Path) -> None:
    now = Picture.open(made).provenance
    then = replace(now, encoders={"bert-adapted": "bert a, adapter b"}, steering={"clip": "pair c"})
    now = replace(now, encoders={"bert-adapted": "bert a, adapter d"}, steering={"clip": "pair e"})
    assert list(_differences(then, now)) == [
        "bert-adapted bert a, adapter b, now bert a, adapter d",
        "clip pair c, now pair e",
    ]


def test_another_size(cli: Cli, toy: Model, made: Path) -> None:
    toy.default_size = (72, 64)
    said = cli("replay", made, *ON)
    assert said.code == 1
    assert "the sizes differ: 64x64, now 72x64" in said.out


def test_the_second_picture_is_kept(cli: Cli, made: Path) -> None:
    assert cli("replay", made, *ON, "--out", "new/again.png").code == 0
    assert Picture.open("new/again.png").digest == Picture.open(made).digest


@pytest.mark.parametrize("out", ["again.jpg", "folder.png", "file/again.png"])
def test_a_bad_place_is_found_before_any_work(cli: Cli, toy: Model, made: Path, out: str) -> None:
    Path("folder.png").mkdir()
    Path("file").write_text("")
    assert cli("replay", made, *ON, "--out", out).code == 2
    assert toy.asked == []


def test_a_file_does_not_choose_what_is_fetched(
    cli: Cli, toy: Model, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = cli("replay", made)
    assert said.code == 2
    assert "'toy', which is not bundled; say where: --model MODEL" in said.err
    assert toy.asked == []
    monkeypatch.setitem(BUNDLED, "toy", BundledModel("toy", "", "", (64, 64)))
    assert cli("replay", made).code == 0
    assert toy.asked == [("toy", "numpy", "float32")]


def test_not_ours(cli: Cli, toy: Model) -> None:
    Image.new("RGB", (8, 8)).save("foreign.png")
    Path("text.png").write_text("hello")
    assert "foreign.png does not say how it was made" in cli("replay", "foreign.png").err
    assert "text.png is not a PNG" in cli("replay", "text.png").err
    assert "cannot read missing.png" in cli("replay", "missing.png").err


def test_a_real_model(cli: Cli, real: Path) -> None:
    words = ["--model", real, "--dtype", "float32"]
    said = cli("generate", "a cat", "the moon", "--steps", 3, *words, "--mode", "exact", "--json")
    for line in said.lines:
        again = cli("replay", json.loads(line)["path"], "--model", real)
        assert again.code == 0
        assert "largest difference: 0 of 255, within the 0 that exact promises" in again.out
