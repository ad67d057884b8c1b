"""Strict measures: the nearest real picture, sharpness, sets in features, and the blind sheet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from mezzotint.errors import DataError
from mezzotint.evaluation.blind import (
    BlindItem,
    choose_items,
    is_right,
    real_pictures,
    score_answers,
    write_sheet,
)
from mezzotint.evaluation.nearest import Gallery, center_on_white, describe, halves
from mezzotint.evaluation.strict import precision_and_recall, sharpness
from support.pictures import COLORS, make_pictures


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def gallery(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    return Gallery.read(data, tmp_path_factory.mktemp("cache"))


def test_nearest_finds_every_real_picture(gallery: Gallery, data: Path) -> None:
    images = [center_on_white(data / f"noto/{name.replace(' ', '-')}.png") for name in COLORS]
    assert all(name in found for name, found in zip(COLORS, gallery.nearest(images), strict=True))


def test_nearest_does_not_mind_place_size_and_background(gallery: Gallery) -> None:
    small = Image.new("RGB", (128, 128), (30, 60, 200))
    ImageDraw.Draw(small).ellipse((70, 60, 110, 100), fill="green")
    assert "green leaf" in gallery.nearest([small])[0]


def test_gallery_is_the_same_from_the_cache(data: Path, tmp_path: Path) -> None:
    first, second = (Gallery.read(data, tmp_path) for _ in range(2))
    assert first.names == second.names and np.abs(first.features - second.features).max() < 1e-3


def test_describe_of_an_empty_picture_is_white() -> None:
    blank = describe(Image.new("RGB", (64, 64), "teal"))
    assert np.array_equal(blank, describe(Image.new("RGB", (64, 64), "white")))


def test_halves_are_left_and_right() -> None:
    image = Image.new("RGB", (8, 4), "red")
    image.paste((0, 0, 255), (4, 0, 8, 4))
    left, right = halves(image)
    assert left.getpixel((3, 1)) == (255, 0, 0) and right.getpixel((0, 1)) == (0, 0, 255)


def test_sharpness_falls_with_blur(data: Path) -> None:
    image = center_on_white(data / "noto/red-ball.png")
    assert sharpness([image.filter(ImageFilter.GaussianBlur(3))]) < 0.3 * sharpness([image])


def test_precision_and_recall_tell_a_narrow_set_from_a_wide_one() -> None:
    rng = np.random.default_rng(0)
    real = rng.standard_normal((200, 8))
    narrow = 0.2 * rng.standard_normal((200, 8))
    same = precision_and_recall(rng.standard_normal((200, 8)), real)
    precision, recall = precision_and_recall(narrow, real)
    assert min(same) > 0.7 and precision > 0.95 and recall < 0.3
    assert precision_and_recall(real + 100, real) == (0, 0)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("a cat", True),
        ("cats", True),
        ("the kitten", True),
        ("tabby cat on white", True),
        ("", False),
        ("a dog", False),
    ],
)
def test_answer_is_right_by_any_name(answer: str, right: bool) -> None:
    assert is_right(answer, ("cat", "kitten")) is right


def test_blind_sheet_keeps_its_key_apart(data: Path, tmp_path: Path) -> None:
    items = choose_items(data)
    assert items == choose_items(data) and len(items) == len(COLORS)
    real = choose_items(data, real=True)  # the same things, in an order of its own
    assert real != items and sorted(map(str, real)) == sorted(map(str, items))
    write_sheet(tmp_path, items, real_pictures(data, items))
    key = json.loads((tmp_path / "key.json").read_text())
    answers = tmp_path / "answers.txt"
    answers.write_text("".join(f"{number}: a {item['object']}\n" for number, item in key.items()))
    assert score_answers(tmp_path / "key.json", answers) == {"any": 1.0}
    answers.write_text("1: nothing of the kind\n")
    assert score_answers(tmp_path / "key.json", answers) == {"any": 0.0}


def test_answers_without_numbers_are_refused(tmp_path: Path) -> None:
    write_sheet(tmp_path, [BlindItem("cat", "any", "a cat", ("cat",), "")], [Image.new("RGB", (8, 8))])
    (tmp_path / "answers.txt").write_text("a cat\n")
    with pytest.raises(DataError, match="no line such as"):
        score_answers(tmp_path / "key.json", tmp_path / "answers.txt")
