"""Named parts of the picture set, and the portraits that are made of them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mezzotint.data.subsets import SUBSETS, pictures, portrait
from mezzotint.errors import DataError
from support.pictures import make_pictures


def _row(object_: str, group: str = "smileys-emotion") -> dict[str, str]:
    return {"object": object_, "group": group}


@pytest.mark.parametrize(
    ("subset", "inside", "outside"),
    [
        (
            "faces",
            [_row("grinning face"), _row("clown"), _row("cat with a smiling face")],
            [_row("red heart"), _row("anger symbol"), _row("grinning cat"), _row("lion", "animals-nature")],
        ),
        (
            "animals",
            [_row("lion", "animals-nature"), _row("lady beetle", "animals-nature")],
            [
                _row("palm tree", "animals-nature"),
                _row("spider web", "animals-nature"),
                _row("grinning face"),
            ],
        ),
        (
            "insects",
            [_row("butterfly", "animals-nature"), _row("spider", "animals-nature")],
            [_row("lion", "animals-nature"), _row("spider web", "animals-nature")],
        ),
        ("all", [_row("grinning face"), _row("lion", "animals-nature")], []),
    ],
)
def test_who_belongs(subset: str, inside: list[dict[str, str]], outside: list[dict[str, str]]) -> None:
    assert all(SUBSETS[subset](row) for row in inside)
    assert not any(SUBSETS[subset](row) for row in outside)


def test_pictures_are_of_one_split_and_size(tmp_path: Path) -> None:
    folder = make_pictures(tmp_path)
    train, test = pictures(folder, "all", 24), pictures(folder, "all", 24, "test")
    assert (len(train), len(test)) == (14, 1)
    assert {(p.mode, p.size) for p in train + test} == {("RGBA", (24, 24))}


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'face'; known: .*did you mean 'faces'\?"):
        pictures(tmp_path, "face", 16)
    with pytest.raises(DataError, match="make them with `mezzotint data emoji"):
        pictures(tmp_path, "faces", 16)
    with pytest.raises(DataError, match="no pictures of insects in its train split"):
        pictures(make_pictures(tmp_path), "insects", 16)


def test_a_portrait_is_the_whole_picture_before_a_backdrop() -> None:
    """Mirrored or not, somewhere within the frame; the backdrop reaches all corners."""
    dot = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    dot.paste((255, 0, 255, 255), (8, 8, 24, 24))
    seen = set()
    for seed in range(20):
        made = portrait(dot, random.Random(seed))
        assert (made.mode, made.size) == ("RGB", (32, 32))
        pink = (np.asarray(made) == (255, 0, 255)).all(-1)
        assert 0.1 < pink.mean() < 0.25  # a quarter, made smaller
        seen.add(made.getpixel((0, 0)))
    assert len(seen) > 15


def test_a_portrait_is_a_function_of_its_randomness() -> None:
    image = Image.effect_noise((16, 16), 60).convert("RGBA")
    one, same, other = (np.asarray(portrait(image, random.Random(seed))) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_the_subsets_of_the_real_names_stay_apart() -> None:
    rows = [json.loads('{"object": "bug", "group": "animals-nature"}'), _row("smiling face with horns")]
    assert [[SUBSETS[s](row) for s in ("faces", "animals", "insects")] for row in rows] == [
        [False, True, True],
        [True, False, False],
    ]
