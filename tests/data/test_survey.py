"""A source before any work: every kind of file is used or listed by name, and all that is wrong is told at once."""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mezzotint.data.pictures.files import EXTENSIONS
from mezzotint.data.pictures.folder import PictureFolder
from mezzotint.data.pictures.survey import Survey, Wanted, survey
from mezzotint.errors import DataError
from support.picture_files import bomb, fill, noise


def look(source: Path | str, size: int = 16, **wanted: Any) -> Survey:
    return survey(source, Wanted(size, **wanted), EXTENSIONS)


def names(found: Survey) -> list[str]:
    return [found.pictures.name(index) for index in range(len(found.pictures))]


def test_every_kind_of_picture_is_decoded_to_rgb(tmp_path: Path) -> None:
    """All show red above blue, however it is stored."""
    two = Image.new("RGB", (40, 40), "red")
    two.paste("blue", (0, 20, 40, 40))
    two.save(tmp_path / "rgb.jpg", quality=95)
    two.save(tmp_path / "rgb.webp", lossless=True)
    two.save(tmp_path / "rgb.BMP")
    two.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    two.convert("CMYK").save(tmp_path / "cmyk.tiff")
    two.quantize(8).save(tmp_path / "palette.png")
    two.save(
        tmp_path / "animated.gif", save_all=True, append_images=[Image.new("RGB", (40, 40), "green")] * 3
    )
    two.save(
        tmp_path / "animated.webp", save_all=True, append_images=[Image.new("RGB", (40, 40))], lossless=True
    )
    two.save(tmp_path / "animated.png", save_all=True, append_images=[Image.new("RGB", (40, 40))])
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by 90 degrees to the right
    two.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "rotated.jpg", exif=turned, quality=95)
    found = look(tmp_path)
    assert len(found.pictures) == 10 and not found.skipped
    traits = {"CMYK": 2, "palette": 2, "animated": 3, "rotated": 1}
    assert {trait: found.traits[trait] for trait in traits} == traits
    folder = PictureFolder.open(tmp_path, 20, ahead=0)
    for index in range(10):
        pixels = folder.picture(index).astype(int)
        assert pixels.shape == (20, 20, 3)
        assert np.abs(pixels[4, 10] - (255, 0, 0)).max() < 40, folder.name(index)
        assert np.abs(pixels[16, 10] - (0, 0, 255)).max() < 40, folder.name(index)


def test_transparency_is_laid_on_the_background(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    clear.paste((255, 0, 0, 255), (0, 0, 20, 10))
    clear.save(tmp_path / "rgba.png")
    clear.save(tmp_path / "rgba.webp", lossless=True)
    clear.convert("P").save(tmp_path / "p.gif", transparency=clear.convert("P").getpixel((0, 19)))
    for background, color in (("white", (255, 255, 255)), ("#102030", (16, 32, 48))):
        folder = PictureFolder.open(tmp_path, 20, background=background, ahead=0)
        assert folder.survey.traits["transparent"] == 3
        for index in range(3):
            assert folder.picture(index)[15, 10].tolist() == list(color), folder.name(index)
            assert folder.picture(index)[5, 10, 0] > 200


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 32).astype(np.uint16)[None].repeat(32, 0)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    Image.fromarray(ramp).save(tmp_path / "deep.tif")
    folder = PictureFolder.open(tmp_path, 32, ahead=0)
    assert folder.survey.traits["16-bit"] == 2
    for index in range(2):
        assert np.abs(folder.picture(index)[0, :, 0].astype(int) - ramp[0] // 257).max() <= 1


def test_what_cannot_be_used_is_listed_by_name_with_the_reason(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("no picture at all")
    (tmp_path / "half.png").write_bytes((tmp_path / "000.png").read_bytes()[:20])
    noise(30, 4).save(tmp_path / "flat.png")
    Image.fromarray(np.ones((20, 20), np.float32)).save(tmp_path / "float.tif")
    bomb(tmp_path / "bomb.png")
    bomb(tmp_path / "small-bomb.png", 9000)
    (tmp_path / "away.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    found = look(tmp_path)
    assert names(found) == ["000.png", "001.png"] and not found.problems
    assert {path: why.split(":")[0] for path, why in found.skipped} == {
        "empty.png": "an empty file", "text.jpg": "not a picture, whatever its name says",
        "half.png": "damaged", "flat.png": "a side under 8 pixels",
        "float.tif": "its pixels are not colors", "bomb.png": "over 64 megapixels",
        "small-bomb.png": "over 64 megapixels", "away.png": "a link to nothing", "self.png": "a link to nothing",
        "pipe.png": "not a plain file",
    }  # fmt: skip
    assert PictureFolder.open(tmp_path, 16).skipped == found.skipped


def test_links_in_circles_end_and_each_folder_is_entered_once(tmp_path: Path) -> None:
    fill(tmp_path / "a/b/c", 2)
    (tmp_path / "a/b/up").symlink_to(tmp_path / "a")
    (tmp_path / "Again").symlink_to(tmp_path / "a/b/c")
    (tmp_path / "Other").symlink_to(fill(tmp_path.with_name("elsewhere"), 1))
    (tmp_path / ".hidden").mkdir()
    fill(tmp_path / ".hidden", 1)
    assert names(look(tmp_path)) == ["Other/000.png", "a/b/c/000.png", "a/b/c/001.png"]


def test_a_folder_that_is_closed_is_told_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "open", 1)
    fill(tmp_path / "closed", 1)
    scandir = os.scandir

    def guarded(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    found = look(tmp_path)
    assert names(found) == ["open/000.png"]
    assert found.skipped == [("closed", "a folder that cannot be read: Permission denied")]


def test_names_that_are_not_utf8_are_read(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    os.rename(tmp_path / "000.png", os.fsencode(tmp_path) + b"/caf\xe9.png")
    folder = PictureFolder.open(tmp_path, 16, ahead=0)
    assert folder.batch(0, 0, 1).pixels.shape == (1, 3, 16, 16)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_metadata_names_pictures_from_its_own_folder(tmp_path: Path, kind: str) -> None:
    fill(tmp_path / "train/deep", 3)
    column = {"jsonl": "captions", "csv": "text"}[kind]
    rows: list[dict[str, Any]] = [
        {"file_name": "deep/000.png", column: "a cat", "license": "MIT"},
        {"file_name": "./deep/001.png", column: "a dog", "license": "MIT"},
    ]
    if kind == "jsonl":
        rows[0][column] = ["a cat", "a kitten"]
        (tmp_path / "train/metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with (tmp_path / "train/metadata.csv").open("w") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    (tmp_path / "train/deep/002.txt").write_text("\ufeffa bird", encoding="utf-8")
    folder = PictureFolder.open(tmp_path, 16, captions=True)
    cat = ("a cat", "a kitten") if kind == "jsonl" else ("a cat",)
    assert [folder.captions(index) for index in range(3)] == [cat, ("a dog",), ("a bird",)]
    assert folder.survey.licenses == {"MIT": 2}


def test_pictures_without_a_caption_are_skipped_where_captions_are_read(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    (tmp_path / "001.txt").write_text("a dog")
    (tmp_path / "002.txt").write_text(" \n")
    (tmp_path / "003.txt").write_bytes("café".encode("latin-1"))
    found = look(tmp_path, captions=True)
    assert names(found) == ["001.png"] and len(look(tmp_path).pictures) == 4
    reasons = {path: why.split(":")[0] for path, why in found.skipped}
    assert reasons == {"000.png": "no caption", "002.png": "no caption", "003.png": "its .txt cannot be read"}


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ('{"file_name": "a.png", "text": "x"}\n{"file_name": "../b.png"}', r"names 2 pictures that are not there: a.png, \.\."),
        ('{"file_name": "000.png", "text": "x"}\nnot json', "damaged after line 1"),
        ('{"text": "x"}', "line 1: a row needs a file_name"),
        ('["a.png"]', "line 1: a row needs a file_name"),
    ],
)  # fmt: skip
def test_captions_without_pictures_are_an_error_where_captions_are_read(
    tmp_path: Path, metadata: str, said: str
) -> None:
    fill(tmp_path, 1, words=True)
    fill(tmp_path.with_name("outside"), 1)
    (tmp_path / "metadata.jsonl").write_text(metadata)
    with pytest.raises(DataError, match=said):
        PictureFolder.open(tmp_path, 16, captions=True)
    assert len(PictureFolder.open(tmp_path, 16)) == 1


def test_all_that_is_wrong_is_one_error(tmp_path: Path) -> None:
    fill(tmp_path, 2, side=12)
    with pytest.raises(DataError) as caught:
        PictureFolder.open(tmp_path, 60, captions=True, multiple=8, background="whit")
    said = str(caught.value)
    assert "divisible by 8, so not 60; try 56 or 64" in said
    assert "no color is called 'whit'; did you mean 'white'?" in said
    assert "can be used: 2 a side under 30 pixels" in said and "\n" not in said


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: p.mkdir(), "is empty: put pictures into it"),
        (lambda p: (p.mkdir(), (p / "a.avif").touch(), (p / "b.txt").touch()), r"its 2 files are \.avif, \.txt; pictures end"),
        (lambda p: p.touch(), "is a file; name the folder"),
        (lambda p: None, "there is no folder"),
        (lambda p: fill(p, 2), "none of the 2 pictures in .* has a caption: put words.txt"),
    ],
)  # fmt: skip
def test_a_source_without_anything_to_learn_from(tmp_path: Path, make: Any, said: str) -> None:
    make(tmp_path / "set")
    with pytest.raises(DataError, match=said):
        PictureFolder.open(tmp_path / "set", 16, captions=True)


def test_a_hub_dataset_needs_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        DataError, match=r'no folder owner/name; to read it from the hub: pip install "mezzotint\[d'
    ):
        PictureFolder.open("owner/name", 16)


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    library = ModuleType("datasets")

    def load_dataset(name: str, split: str) -> None:
        raise ConnectionError(f"cannot reach the hub for {name} {split}\nand much more")

    library.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", library)
    with pytest.raises(DataError, match=r"the hub gave none: cannot reach the hub for owner/name test$"):
        PictureFolder.open("owner/name:test", 16)


def test_looking_through_reads_thousands_a_second(tmp_path: Path) -> None:
    fill(tmp_path / "real", 1, side=64)
    (tmp_path / "set").mkdir()
    for index in range(2000):
        os.link(tmp_path / "real/000.png", tmp_path / f"set/{index}.png")
    began = time.process_time()
    assert len(look(tmp_path / "set").pictures) == 2000
    assert time.process_time() - began < 2  # about 0.2 s on one idle core
