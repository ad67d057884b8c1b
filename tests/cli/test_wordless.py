"""Models that draw without a prompt, on the command line."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mezzotint import Picture, Request
from mezzotint.models import BUNDLED, bundled
from support.tiny_pixels import PLAIN, make_pixels

if TYPE_CHECKING:
    from conftest import Cli, Model


@pytest.fixture
def faces(toy: Model) -> Model:
    """The toy, which now draws without a prompt."""
    toy.reads_text = False
    toy.name = "faces"
    toy.encode = lambda *_: (np.zeros((3, 2), np.float32), None)  # type: ignore[method-assign]
    return toy


def test_no_prompt_is_needed(cli: Cli, faces: Model) -> None:
    said = cli("generate", "--model", "faces", "-n", 3, "--seed", 5, "--steps", 2)
    assert (said.code, said.err) == (0, "")
    assert sorted(Picture.open(line).request.seed for line in said.lines) == [5, 6, 7]
    assert all(Path(line).name[1:].startswith("-faces-") for line in said.lines)


def test_guidance_toward_a_prompt_acts_nowhere(cli: Cli, faces: Model) -> None:
    [guided] = cli("generate", "--model", "faces", "--steps", 2).lines
    assert faces.prepared == [(1, 64, 64)] and faces.calls == [(1, 1)] * 2
    [plain] = cli("generate", "--model", "faces", "--steps", 2, "--guidance", "none").lines
    assert Picture.open(guided).digest == Picture.open(plain).digest


@pytest.mark.parametrize("words", [["a cat"], ["--negative", "blur"]])
def test_a_prompt_is_refused_with_what_to_do(cli: Cli, faces: Model, words: list[str]) -> None:
    said = cli("generate", *words, "--model", "faces")
    assert said.code == 2
    assert (
        "faces draws without a prompt; leave it out, or steer it with --guidance 'clip(\"...\")'" in said.err
    )
    assert faces.calls == [] and os.listdir() == []


def test_a_model_that_turns_out_to_read_prompts(cli: Cli, toy: Model) -> None:
    """Of a hub id it shows only when it is opened."""
    said = cli("generate", "--model", "owner/model")
    assert said.code == 2
    assert "give a prompt in quotes, or --prompts-file FILE" in said.err
    assert toy.calls == []


def test_a_real_one(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a folder and as a bundled name; and it is made again from its file."""
    make_pixels(tmp_path / "m", {**PLAIN, "sample_size": 64})
    how = ("--dtype", "float32", "--steps", 2, "--sampler", "ddim", "--json")
    assert cli("generate", "--model", tmp_path / "m", *how).code == 0
    monkeypatch.setattr(bundled, "_BUNDLES", tmp_path)
    monkeypatch.setitem(BUNDLED, "m", replace(BUNDLED["faces"], name="m"))
    said = cli("generate", "--model", "m", *how[:-1])
    assert said.code == 0
    assert Picture.open(said.lines[0]).request == Request(steps=2, sampler="ddim")
    again = cli("replay", said.lines[0])
    assert again.code == 0 and "largest difference: 0 of 255" in again.out


def test_it_is_listed(cli: Cli) -> None:
    said = cli("models").out
    assert "faces" in said and "unconditional" in said and "64x64" in said
