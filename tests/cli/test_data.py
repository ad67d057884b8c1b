"""`mezzotint data`: what it says of a folder, and that it writes what it says."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from support.picture_files import fill
from support.pictures import make_pictures

Cli = Callable[..., Any]


def test_check_tells_what_is_there_and_what_is_skipped(cli: Cli, tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", 20, side=40, words=True)
    for index in range(7):
        (folder / f"broken-{index}.png").write_text("x")
    os.rename(folder / "broken-0.png", os.fsencode(folder) + b"/broken-\xe9\x1b[0m.png")
    (folder / "notes.md").touch()
    said = cli("data", "check", folder, "--captions")
    assert said.code == 0
    assert f"pictures  20 in {folder}" in said.lines
    assert "captions  20" in said.lines and "skipped   7" in said.lines and "ignored   1 .md" in said.lines
    assert "       7  not a picture, whatever its name says" in said.lines
    assert "          broken-1.png" in said.lines and "          and 2 more" in said.lines
    assert "\x1b" not in said.out
    assert sum("broken" in line for line in cli("data", "check", folder, "--all").lines) == 7


def test_check_names_the_details_of_single_files(cli: Cli, tmp_path: Path) -> None:
    fill(tmp_path / "set", 1, side=40)
    fill(tmp_path / "set/small", 1, side=20)
    said = cli("data", "check", tmp_path / "set", "--size", 64)
    assert "       1  a side under 32 pixels" in said.lines
    assert "          small/000.png: 20x20" in said.lines
    assert cli("data", "check", tmp_path / "set", "--min-side", 20).lines[0].startswith("pictures  2 in")


def test_check_decodes_unless_it_says_that_it_did_not(cli: Cli, tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", 3, side=40)
    Image.effect_noise((64, 64), 90).convert("RGB").save(whole := folder / "torn.jpg")
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    said = cli("data", "check", folder)
    assert f"pictures  3 in {folder}" in said.lines and "read      every picture decoded" in said.lines
    assert "       1  damaged" in said.lines
    said = cli("data", "check", folder, "--headers-only")
    assert f"pictures  4 in {folder}" in said.lines
    assert "read      headers only; a torn picture shows when it is decoded" in said.lines


def test_check_fails_where_training_would(cli: Cli, tmp_path: Path) -> None:
    fill(tmp_path / "set", 3, side=10)
    said = cli("data", "check", tmp_path / "set", "--size", 2)
    assert said.code == 2 and "size must be from 8 to 4096" in said.err
    said = cli("data", "check", tmp_path / "set", "--captions")
    assert said.code == 2 and said.err.splitlines()[-1].endswith("can be used: 3 a side under 32 pixels")
    assert "000.png: 10x10" in said.err
    assert "there is no folder nowhere" in cli("data", "check", "nowhere").err


def test_subset_writes_what_fine_tuning_reads(cli: Cli, tmp_path: Path) -> None:
    source = make_pictures(tmp_path / "set")
    said = cli(
        "data",
        "subset",
        source,
        tmp_path / "out",
        "--style",
        "noto",
        "--background",
        "portrait",
        "--size",
        32,
    )
    assert said.lines == [f"{tmp_path / 'out'}: 4 pictures of 32x32"]
    assert (
        cli("data", "check", tmp_path / "out", "--captions", "--size", 32).lines[0]
        == f"pictures  4 in {tmp_path}/out"
    )
    said = cli("data", "subset", source, tmp_path / "out")
    assert said.code == 2 and "is not empty" in said.err


def test_icons_of_a_version(cli: Cli, tmp_path: Path) -> None:
    cache = tmp_path / "cache/iconify-json-badges-1.0.0"
    cache.mkdir(parents=True)
    icons = {"pen": {"body": '<circle cx="8" cy="8" r="7" fill="#00ff00"/>'}}
    (cache / "icons.json").write_text(json.dumps({"icons": icons}))
    (cache / "package.json").write_text("{}")
    out = tmp_path / "out"
    command = (
        "data",
        "icons",
        "@iconify-json/badges@1.0.0",
        out,
        "--style",
        "badge",
        "--cache",
        cache.parent,
    )
    assert cli(*command).lines == [f"{out}: 1 pictures of 128x128"]
    assert "is not empty" in cli(*command).err
