"""Where pictures go: checked before any work, named so that none replaces another."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from mezzotint import OutputError, Picture, Request
from mezzotint.cli.output import check_folder, file_name, free_path
from mezzotint.picture import Provenance

pytestmark = pytest.mark.processor

if TYPE_CHECKING:
    from conftest import Cli, Model

MADE = Provenance("toy", "ab" * 32, "numpy", "float32", "fast", "cpu", {}, 3, 0.1, "")
PICTURE = Picture(Image.new("RGB", (8, 8)), Request("a red rose", seed=7), MADE)


@pytest.mark.parametrize("name", ["file", "file/below", "file/below/deep"])
def test_a_file_in_the_way(cli: Cli, toy: Model, name: str) -> None:
    Path("file").write_text("mine")
    said = cli("generate", "a cat", "--out", name)
    assert said.code == 2
    assert f"cannot write into {name}: " in said.err
    assert "is a file" in said.err
    assert toy.asked == []
    assert Path("file").read_text() == "mine"


def test_a_folder_that_may_not_be_written(cli: Cli, toy: Model) -> None:
    """Not even root may write into /proc."""
    folder = "/proc/pictures"
    if os.geteuid() != 0:
        Path("locked").mkdir(mode=0o555)
        folder = "locked/pictures"
    said = cli("generate", "a cat", "--out", folder)
    assert said.code == 2
    assert f"cannot write into {folder}: " in said.err
    assert toy.asked == []


def test_checking_leaves_nothing(tmp_path: Path) -> None:
    check_folder(tmp_path)
    check_folder(tmp_path / "new" / "newer")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_vanishes_into_a_file(tmp_path: Path) -> None:
    from mezzotint.cli.output import make_folder

    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="cannot write into"):
        make_folder(tmp_path / "out")


def test_a_file_behind_a_folder_that_is_not_there(cli: Cli, toy: Model) -> None:
    Path("afile").write_text("mine")
    said = cli("generate", "a cat", "--out", "a/../afile")
    assert said.code == 2
    assert "afile is a file" in said.err
    assert toy.asked == []
    assert os.listdir() == ["afile"]


@pytest.mark.parametrize("target", ["loop", "/proc/pictures", "x" * 300])
def test_a_link_that_leads_to_no_folder(cli: Cli, toy: Model, target: str) -> None:
    Path("loop").symlink_to(target)
    said = cli("generate", "a cat", "--out", "loop")
    assert said.code == 2
    assert "cannot write into loop: " in said.err
    assert toy.asked == []


@pytest.mark.parametrize("out", ["link", "a/../new"])
def test_a_folder_is_made_where_the_path_leads(cli: Cli, toy: Model, out: str) -> None:
    Path("link").symlink_to("new")
    [path] = cli("generate", "a cat", "--steps", 2, "--out", out).lines
    assert Path(path).is_file()
    assert os.listdir("new") == [Path(path).name]


@pytest.mark.parametrize(
    ("prompt", "slug"),
    [
        ("a red rose", "7-a-red-rose-"),
        ("", "7-toy-"),
        ("../../etc/passwd", "7-etc-passwd-"),
        ("Café — ÜBER\n\x00/..", "7-cafe-uber-"),
        ("日本", "7-"),
        ("x" * 300, "7-" + "x" * 40 + "-"),
        ("word " * 100, "7-" + "-".join(["word"] * 8) + "-"),
    ],
)
def test_names_say_seed_and_prompt(prompt: str, slug: str) -> None:
    name = file_name(replace(PICTURE, request=Request(prompt, seed=7)))
    assert name.startswith(slug)
    assert len(name) == len(slug) + 10 + len(".png")


def test_file_name_depends_on_what_decides_the_picture() -> None:
    others = [
        replace(PICTURE, request=Request("a red rose", seed=7, steps=26)),
        replace(PICTURE, provenance=replace(MADE, model_digest="cd" * 32)),
        replace(PICTURE, provenance=replace(MADE, dtype="bfloat16")),
        replace(PICTURE, provenance=replace(MADE, mode="exact")),
    ]
    assert len({file_name(p) for p in [PICTURE, *others]}) == 5
    same = replace(MADE, seconds=9.0, created="now", threads=3, device="another processor")
    assert file_name(replace(PICTURE, provenance=same, image=Image.new("RGB", (8, 8), "red"))) == file_name(
        PICTURE
    )


def test_free_path_never_overwrites_a_different_picture(tmp_path: Path) -> None:
    first = free_path(tmp_path, PICTURE)
    PICTURE.save(first)
    assert free_path(tmp_path, PICTURE) == first
    rounded = Image.fromarray((np.asarray(PICTURE.image).astype(int) + 2).clip(0, 255).astype(np.uint8))
    assert free_path(tmp_path, replace(PICTURE, image=rounded)) == first
    other = replace(PICTURE, image=Image.new("RGB", PICTURE.image.size, "red"))
    second = free_path(tmp_path, other)
    assert second == first.with_name(f"{first.stem}-2.png")
    other.save(second)
    assert free_path(tmp_path, other) == second
    second.write_bytes(b"not a picture")
    assert free_path(tmp_path, other) == first.with_name(f"{first.stem}-3.png")
