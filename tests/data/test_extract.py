"""Parts of the emoji set as plain folders: RGB, of one size, with captions, and ready to be learned from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mezzotint.data.extract import write_subset
from mezzotint.data.pictures.folder import PictureFolder
from mezzotint.data.subsets import SUBSETS
from mezzotint.errors import DataError
from support.pictures import make_pictures


def test_a_part_is_a_folder_that_can_be_trained_on(tmp_path: Path) -> None:
    source = make_pictures(tmp_path / "set")
    assert write_subset(source, tmp_path / "out", size=32) == 14
    for path in (tmp_path / "out").glob("*.png"):
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("RGB", (32, 32))
            assert image.getpixel((0, 0)) == (255, 255, 255)
    folder = PictureFolder.open(tmp_path / "out", 32, captions=True)
    assert len(folder) == 14 and not folder.skipped and not folder.survey.traits
    assert set(folder.batch(0, 0, 14).captions) == {
        "red ball",
        "green leaf",
        "blue drop",
        "golden star",
        "gray stone",
    }
    assert not list(tmp_path.glob(".out*"))


def test_ordinary_things_are_a_part_of_their_own() -> None:
    assert [SUBSETS["ordinary"]({"object": name}) for name in ("rose", "sailboat", "aquarius")] == [
        True,
        True,
        False,
    ]


def test_styles_splits_and_counts(tmp_path: Path) -> None:
    source = make_pictures(tmp_path / "set")
    assert write_subset(source, tmp_path / "test", split="test") == 1
    assert write_subset(source, tmp_path / "all", split="all") == 15
    assert write_subset(source, tmp_path / "noto", style="noto") == 4
    chosen = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert write_subset(source, tmp_path / name, count=6, seed=seed) == 6
        chosen.append(sorted(path.name for path in (tmp_path / name).glob("*.png")))
    assert chosen[0] == chosen[1] != chosen[2]


def test_portraits_have_backdrops_that_seed_and_name_decide(tmp_path: Path) -> None:
    source = make_pictures(tmp_path / "set")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_subset(source, tmp_path / name, background="portrait", seed=seed)
    read = [[np.asarray(Image.open(path)) for path in sorted((tmp_path / n).glob("*.png"))] for n in "abc"]
    assert all(np.array_equal(x, y) for x, y in zip(read[0], read[1], strict=True))
    assert not any(np.array_equal(x, y) for x, y in zip(read[0], read[2], strict=True))
    assert len({tuple(x[0, 0]) for x in read[0]}) > 10


def test_nothing_is_left_where_it_fails(tmp_path: Path) -> None:
    source = make_pictures(tmp_path / "set")
    (source / "noto/red-ball.png").write_bytes(b"\x89PNG")
    for asked, said in (
        ({"style": "nota"}, r"no 'nota' in its train split; its styles there are .*did you mean 'noto'"),
        ({"count": 15}, "there are 14 such pictures, not 15"),
        ({"subset": "face"}, "did you mean 'faces'"),
        ({}, "red-ball.png cannot be read"),
    ):
        with pytest.raises(DataError, match=said):
            write_subset(source, tmp_path / "out", **asked)  # type: ignore[arg-type]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").touch()
    with pytest.raises(DataError, match="is not empty"):
        write_subset(source, tmp_path / "out")
    (source / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "a"}')
    with pytest.raises(DataError, match="is not a set of `mezzotint data emoji`"):
        write_subset(source, tmp_path / "new")


def test_pixel_art_is_in_plain_squares_and_is_called_so(tmp_path: Path) -> None:
    source = make_pictures(tmp_path / "set")
    assert write_subset(source, tmp_path / "out", size=32, count=3, cells=4) == 3
    for path in (tmp_path / "out").glob("*.png"):
        pixels = np.asarray(Image.open(path))
        squares = pixels.reshape(4, 8, 4, 8, 3)
        assert pixels.shape == (32, 32, 3) and (squares == squares[:, :1, :, :1]).all()
        assert len(np.unique(squares[:, 0, :, 0].reshape(16, 3), axis=0)) > 1
    rows = [json.loads(line) for line in (tmp_path / "out/metadata.jsonl").read_text().splitlines()]
    assert all(row["style"] == "pixel-art" for row in rows)
    assert all(row["captions"] == [f"{row['object']}, pixel art"] for row in rows)
    folder = PictureFolder.open(tmp_path / "out", 32, captions=True)
    assert all(caption.endswith(", pixel art") for caption in folder.batch(0, 0, 3).captions)
