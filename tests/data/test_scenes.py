"""Canonical scenes: the caption says all that differs, boxes lie on the latent grid, held-out things stay out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from mezzotint.data.places import FRAMES, draw_frame
from mezzotint.data.scenes import BOXES, PALETTE, WHOLE, CanonicalComposer, CanonicalScene, Kind, is_held_out
from mezzotint.data.words import article_of, plural
from mezzotint.errors import DataError
from support.pictures import make_pictures

KINDS: Sequence[Kind] = get_args(Kind)


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> CanonicalComposer:
    return CanonicalComposer(make_pictures(tmp_path_factory.mktemp("pictures")))


def draw_scenes(composer: CanonicalComposer, kind: Kind, count: int = 100) -> list[CanonicalScene]:
    rng = random.Random(1)
    return [composer.scene(kind, rng.choice(composer.names), rng) for _ in range(count)]


@pytest.mark.parametrize("kind", KINDS)
def test_scene_of_a_caption_is_one_picture(composer: CanonicalComposer, kind: Kind) -> None:
    by_caption: dict[str, set[str]] = {}
    for scene in draw_scenes(composer, kind):
        by_caption.setdefault(scene.caption, set()).add(composer.content(scene))
    assert all(len(contents) == 1 for contents in by_caption.values())


@pytest.mark.parametrize("kind", KINDS)
def test_scene_renders_the_same_twice(composer: CanonicalComposer, kind: Kind) -> None:
    [scene] = draw_scenes(composer, kind, 1)
    first, second = (np.asarray(composer.render(scene)) for _ in range(2))
    assert first.shape == (128, 128, 3) and np.array_equal(first, second)


def test_boxes_lie_on_the_latent_grid() -> None:
    for box in (*WHOLE, *(box for boxes in BOXES.values() for box in boxes)):
        left, top, side = box
        assert not any(value % 8 for value in box) and left + side <= 128 and top + side <= 128


def test_held_out_pairs_and_combinations_are_never_drawn(composer: CanonicalComposer) -> None:
    assert ("blue drop", "noto") not in {(row["object"], row["style"]) for row in composer.rows}
    for scene in draw_scenes(composer, "color", 400):
        assert not is_held_out(composer.rows[scene.sprites[0]]["object"], scene.ground)
    combinations = [is_held_out(name, color) for name in map(str, range(200)) for color in PALETTE]
    assert 0.08 < np.mean(combinations) < 0.12


def test_color_scene_has_the_exact_color_at_its_border(composer: CanonicalComposer) -> None:
    for scene in draw_scenes(composer, "color", 20):
        assert scene.caption.endswith(f"on a {scene.ground} background")
        assert tuple(np.asarray(composer.render(scene))[0, 0]) == PALETTE[scene.ground]


def test_count_scene_holds_as_many_as_it_says(composer: CanonicalComposer) -> None:
    counts = {"two": 2, "three": 3, "four": 4}
    for scene in draw_scenes(composer, "count", 20):
        assert len(scene.sprites) == len(scene.boxes) == counts[scene.caption.split()[0]]


def test_pair_scene_names_what_stands_left_first(composer: CanonicalComposer) -> None:
    for scene in draw_scenes(composer, "pair", 20):
        left, right = (composer.rows[index] for index in scene.sprites)
        said = scene.caption.split(" and ")
        assert [article_of(row["object"]) for row in (left, right)] == said and left["object"] != right[
            "object"
        ]


def test_pair_scene_takes_its_partner_from_those_allowed(composer: CanonicalComposer) -> None:
    few = CanonicalComposer(composer.folder)
    few.partners = ["red ball", "gray stone"]
    rng = random.Random(2)
    scenes = [few.scene("pair", "golden star", rng) for _ in range(20)]
    assert {name for scene in scenes for name in (few.rows[i]["object"] for i in scene.sprites)} <= {
        "golden star",
        *few.partners,
    }


def test_variety_bounds_what_an_object_meets(composer: CanonicalComposer) -> None:
    rng = random.Random(0)
    grounds = {composer.scene("color", "red ball", rng, variety=3).ground for _ in range(100)}
    assert len(grounds) == 3


def test_object_without_the_unsaid_style_takes_its_next(tmp_path: Path) -> None:
    table = make_pictures(tmp_path) / "metadata.jsonl"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if "fluent-3d/red-ball" not in line))
    composer = CanonicalComposer(tmp_path)
    assert composer.rows[composer.usual("red ball")]["style"] == "noto"
    assert composer.rows[composer.usual("gray stone")]["style"] == "fluent-3d"


def test_composer_names_an_object_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no 'unicorn' to train on"):
        CanonicalComposer(make_pictures(tmp_path), names=["unicorn"])


def test_frames_are_fixed_and_differ() -> None:
    pictures = {name: draw_frame(name, 32).tobytes() for name in FRAMES}
    assert len(set(pictures.values())) == len(FRAMES)
    draw_frame("moon", 32).paste((255, 0, 0), (0, 0, 32, 32))
    assert draw_frame("moon", 32).tobytes() == pictures["moon"]
    captions = [text for frame in FRAMES.values() for text in (*frame.where, *frame.alone)]
    assert len(captions) == len(set(captions))


@pytest.mark.parametrize(
    ("name", "singular", "several"),
    [
        ("unicorn", "a unicorn", "unicorns"),
        ("umbrella", "an umbrella", "umbrellas"),
        ("fox", "a fox", "foxes"),
        ("strawberry", "a strawberry", "strawberries"),
        ("monkey", "a monkey", "monkeys"),
    ],
)
def test_words_take_their_article_and_plural(name: str, singular: str, several: str) -> None:
    assert (article_of(name), plural(name)) == (singular, several)
