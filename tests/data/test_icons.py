"""Icon sets as pictures with captions: what they are called, which are left out, and what is said of a wrong package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mezzotint.data.icons import list_icons, write_icons
from mezzotint.data.pictures.folder import PictureFolder
from mezzotint.errors import DataError

DISC = '<circle cx="12" cy="12" r="11" fill="#00ff00"/>'
BAR = '<path d="M0 0h24v8H0z" fill="#ff0000"/>'


def package(cache: Path) -> Path:
    """What `npm pack` would have brought: four icons of 24 and one that is wide."""
    folder = cache / "iconify-json-badges-1.0.0"
    folder.mkdir(parents=True)
    icons = {name: {"body": DISC} for name in ("tea-cup", "pen-2", "pen", "pen-duo")}
    icons["flag"] = {"body": BAR, "height": 8}
    (folder / "icons.json").write_text(json.dumps({"icons": icons, "width": 24, "height": 24}))
    (folder / "package.json").write_text(json.dumps({"license": "CC-BY-4.0"}))
    return cache


def test_names_are_words_and_one_of_those_called_alike_stays() -> None:
    icons: dict[str, dict[str, Any]] = {name: {} for name in ("tea-cup", "pen-2", "pen", "pen-duo", "man-12")}
    assert list_icons(icons, ["*-duo"]) == [("man-12", "man"), ("pen", "pen"), ("tea-cup", "tea cup")]


def test_a_set_is_a_folder_that_can_be_trained_on(tmp_path: Path) -> None:
    cache = package(tmp_path / "cache")
    kept = {"style": "badge", "version": "1.0.0", "without": ["*-duo"], "size": 32}
    assert write_icons("@iconify-json/badges", tmp_path / "out", cache, **kept) == 3  # type: ignore[arg-type]
    rows = [json.loads(line) for line in (tmp_path / "out/metadata.jsonl").read_text().splitlines()]
    assert [row["object"] for row in rows] == ["flag", "pen", "tea cup"]
    assert {row["license"] for row in rows} == {"CC-BY-4.0"}
    cup, flag = (Image.open(tmp_path / f"out/{name}.png") for name in ("tea-cup", "flag"))
    assert cup.size == (32, 32) and cup.getpixel((0, 0)) == (255, 255, 255)
    assert cup.getpixel((16, 16)) == (0, 255, 0)
    assert flag.getpixel((16, 2)) == (255, 255, 255) and flag.getpixel((16, 16)) == (255, 0, 0)
    folder = PictureFolder.open(tmp_path / "out", 32, captions=True)
    assert set(folder.batch(0, 0, 3).captions) == {f"{n}, badge style" for n in ("flag", "pen", "tea cup")}
    picked = {}
    for name, seed in (("a", 1), ("b", 1)):
        write_icons("@iconify-json/badges", tmp_path / name, cache, **kept, count=2, seed=seed)  # type: ignore[arg-type]
        picked[name] = sorted(path.name for path in (tmp_path / name).glob("*.png"))
    assert picked["a"] == picked["b"] and len(picked["a"]) == 2


def test_what_is_wrong_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    cache = package(tmp_path / "cache")
    with pytest.raises(DataError, match="there are 4 such icons, not 9"):
        write_icons("@iconify-json/badges", tmp_path / "out", cache, style="badge", version="1.0.0", count=9)
    with pytest.raises(DataError, match="there are 0 such icons"):
        write_icons(
            "@iconify-json/badges", tmp_path / "out", cache, style="badge", version="1.0.0", without=["*"]
        )
    (cache / "left-pad-1.0.0").mkdir()
    with pytest.raises(DataError, match="left-pad is not an icon set"):
        write_icons("left-pad", tmp_path / "out", cache, style="badge", version="1.0.0")
    assert not (tmp_path / "out").exists()
