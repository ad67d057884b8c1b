"""The composer: scenes that hold what their captions say, and the same random state, the same scene."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mezzotint.data.compose import PALETTE, Composer, paste, plural, tint_sprite
from mezzotint.data.places import landscape
from mezzotint.errors import DataError
from support.pictures import make_pictures


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    return Composer(make_pictures(tmp_path_factory.mktemp("pictures")))


def test_held_out_pictures_are_never_drawn(composer: Composer) -> None:
    assert len(composer.rows) == 14
    assert ("blue drop", "noto") not in {(row["object"], row["style"]) for row in composer.rows}


def test_a_random_state_is_a_scene(composer: Composer) -> None:
    first, second = (composer.scene(random.Random(5)) for _ in range(2))
    assert first.caption == second.caption
    assert np.array_equal(np.asarray(first.image), np.asarray(second.image))


def test_scenes_are_of_every_kind_and_say_what_they_hold(composer: Composer) -> None:
    rng = random.Random(0)
    scenes = [composer.scene(rng) for _ in range(400)]
    assert {scene.kind for scene in scenes} == {"single", "pair", "several", "place"}
    assert all(scene.image.size == (128, 128) and scene.caption == scene.caption.strip() for scene in scenes)
    for scene in scenes:
        if scene.kind == "several":
            assert scene.caption.split()[0] in ("two", "three", "four", "a")
        assert len(scene.objects) == {"single": 1, "several": 1, "pair": 2, "place": 0}[scene.kind]


def test_simple_scenes_are_one_ordinary_thing_in_the_middle(tmp_path: Path) -> None:
    folder = make_pictures(tmp_path)
    table = folder / "metadata.jsonl"
    table.write_text(table.read_text().replace('"object": "red ball"', '"object": "red apple"'))
    composer = Composer(folder, simple=0.5)
    rng = random.Random(3)
    scenes = [composer.scene(rng) for _ in range(200)]
    simple = [scene for scene in scenes if scene.kind == "simple"]
    assert 70 < len(simple) < 130
    assert {scene.objects for scene in simple} == {("red apple",)}
    assert {scene.styles for scene in simple} == {("noto",), ("fluent-3d",)}
    for scene in simple:
        assert np.abs(np.asarray(scene.image)[64, 64].astype(int) - (255, 0, 0)).max() <= 2


def test_simple_scenes_of_other_things_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no ordinary things"):
        Composer(make_pictures(tmp_path), simple=0.5)


def test_a_named_background_has_that_color(composer: Composer) -> None:
    rng, seen = random.Random(1), 0
    for _ in range(300):
        ground, said = composer.ground(rng)
        color = next((c for c in sorted(PALETTE, key=len, reverse=True) if c in said), None)
        if color and "background" in said:
            seen += 1
            assert np.abs(np.asarray(ground)[0, 0].astype(int) - PALETTE[color]).max() <= 8
    assert seen > 50


def test_a_tint_moves_the_colors_and_keeps_the_shape() -> None:
    sprite = Image.new("RGBA", (8, 8), (200, 180, 160, 255))
    sprite.putpixel((0, 0), (0, 0, 0, 0))
    toned = np.asarray(tint_sprite(sprite, (10, 20, 200)))
    assert toned[4, 4, 2] > toned[4, 4, 0] + 30
    assert np.array_equal(toned[..., 3], np.asarray(sprite)[..., 3])


def test_paste_centers_a_share_of_the_width() -> None:
    ground = Image.new("RGB", (100, 100))
    paste(ground, Image.new("RGBA", (50, 50), "white"), 0.2, 0.5, 0.25)
    white = np.argwhere(np.asarray(ground)[..., 0] > 0)
    assert white.min(0).tolist() == [15, 40]
    assert white.max(0).tolist() == [34, 59]


@pytest.mark.parametrize(
    ("one", "many"), [("cat", "cats"), ("fox", "foxes"), ("berry", "berries"), ("key", "keys")]
)
def test_plurals(one: str, many: str) -> None:
    assert plural(one) == many


def test_every_landscape_is_drawn() -> None:
    rng = random.Random(2)
    said = {landscape(rng, 64)[2] for _ in range(200)}
    assert len(said) > 30


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mezzotint data emoji"):
        Composer(tmp_path)
