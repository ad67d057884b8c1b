"""The strip: noise on the left, the picture on the right, an even choice of steps between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mezzotint import Picture, Request
from mezzotint.cli.strip import TILES, Strips, StripTile, draw, labels, shown_evaluations
from mezzotint.planning import plan
from mezzotint.rng import Generator
from mezzotint.schedule import Schedule

if TYPE_CHECKING:
    from conftest import Cli, Model

SD = Schedule.from_config({"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012})


def tiles_of(strip: Picture) -> list[np.ndarray]:
    """Back from the strip: tiles of 128 pixels, 10 apart, under the headline."""
    pixels = np.asarray(strip.image)
    count = (pixels.shape[1] - 2 * 28 + 10) // 138
    return [pixels[62 : 62 + 128, 28 + 138 * i : 28 + 138 * i + 128] for i in range(count)]


def enlarged(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(2, 0).repeat(2, 1)


def test_from_the_seeds_noise_to_the_picture(cli: Cli, toy: Model) -> None:
    said = cli("generate", "a cat", "--seed", 5, "--steps", 30, "--trace")
    path, strip_path = map(Path, said.lines)
    assert strip_path.name == f"{path.stem}-trace.png"
    picture, strip = Picture.open(path), Picture.open(strip_path)
    tiles = tiles_of(strip)
    assert len(tiles) == TILES
    noise = Generator(5).normal((4 * 8 * 8,)).reshape(1, 4, 8, 8)
    assert np.array_equal(tiles[0], enlarged(toy.decode(noise)))
    assert np.array_equal(tiles[-1], enlarged(np.asarray(picture.image)))
    assert len({tile.tobytes() for tile in tiles}) == TILES
    assert strip.request == picture.request
    assert strip.provenance.warnings == ["a strip of 12 tiles, not the picture itself"]


def test_each_picture_has_its_own(cli: Cli, toy: Model) -> None:
    said = cli("generate", "a cat", "a dog", "-n", 2, "--steps", 3, "--trace", "--json")
    rows = [json.loads(line) for line in said.lines]
    assert len(rows) == 4
    for row in rows:
        picture, strip = Picture.open(row["path"]), Picture.open(row["trace"])
        tiles = tiles_of(strip)
        assert len(tiles) == 4
        assert np.array_equal(tiles[-1], enlarged(np.asarray(picture.image)))


def test_a_failed_picture_leaves_nothing_behind(
    cli: Cli, toy: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Strips] = []
    monkeypatch.setattr("mezzotint.cli.run.Strips", lambda model: opened.append(Strips(model)) or opened[-1])
    toy.poison = lambda timestep: float("nan") if timestep < 500 else 0.0
    assert cli("generate", "a cat", "a sick dog", "--steps", 4, "--trace").code == 1
    assert opened[0]._seen == {}


def test_tracing_changes_no_picture(cli: Cli, toy: Model) -> None:
    plain = cli("generate", "a cat", "--steps", 4)
    traced = cli("generate", "a cat", "--steps", 4, "--trace")
    assert plain.lines[0] == traced.lines[0]


@pytest.mark.parametrize("total", [1, 2, 11, 12, 25, 2000])
def test_an_even_choice(total: int) -> None:
    picked = sorted(shown_evaluations(total))
    assert len(picked) == min(total, TILES - 1)
    assert (picked[0], picked[-1]) == (1, total)
    gaps = np.diff(picked)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_labels_are_the_step_and_the_noise_it_began_with() -> None:
    table = plan(Request(sampler="heun", steps=10), SD)
    assert labels(table, 0, 7) == ("noise", "seed 7")
    assert labels(table, 1, 7) == ("step 1", f"sigma {table.sigma[0]:.3g}")
    assert labels(table, table.evaluations, 7)[0] == "step 10"
    vp = plan(Request(sampler="ddim", steps=10), SD)
    assert labels(vp, 4, 7)[1] == f"sigma {vp.sigma[3] / vp.alpha[3]:.3g}"


@pytest.mark.parametrize("shape", [(64, 64), (128, 64), (64, 2048), (1024, 1024)])
def test_any_shape_and_any_text(shape: tuple[int, int]) -> None:
    tile = StripTile(np.zeros((*shape, 3), np.uint8), "step 1", "sigma 1")
    image = draw([tile], "a very long prompt 日本 " * 900, "about " * 30)
    assert image.width <= 192 + 2 * 28
    assert image.height <= 192 + 140
