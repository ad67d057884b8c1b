"""The preview: one file while pictures come, whole at every moment, and gone when they are there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from mezzotint import Request
from mezzotint.cli.preview import MOST, NAME, Previews, grid
from mezzotint.engine import Progress
from mezzotint.errors import OutputError

if TYPE_CHECKING:
    from conftest import Cli, Model


def quick(latents: np.ndarray) -> np.ndarray:
    """Half as large as the pictures."""
    return np.stack([np.full((4, 4, 3), 40 * x.shape[0], np.uint8) for x in latents])


def progress(number: int, done: int = 1) -> Progress:
    return Progress(number, Request(), done, 9, np.zeros((4, 8, 8), np.float32))


def size_of(folder: Path) -> tuple[int, int]:
    with Image.open(folder / NAME) as image:
        return image.size


@pytest.fixture
def previews(toy: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Previews:
    monkeypatch.setattr("mezzotint.cli.preview._PAUSE", 0.0)
    toy.preview = quick
    return Previews(toy, tmp_path / "out")


def test_all_that_are_on_their_way_are_in_it(previews: Previews, tmp_path: Path) -> None:
    sizes = []
    for number in range(5):
        previews.step(progress(number))
        sizes.append(size_of(tmp_path / "out"))
    assert sizes == [(4, 4), (8, 4), (8, 8), (8, 8), (12, 8)]
    previews.forget(0)
    previews.step(progress(1, 2))
    assert size_of(tmp_path / "out") == (8, 8)
    for number in range(5, 40):
        previews.step(progress(number))
    assert size_of(tmp_path / "out") == (16, 16)
    assert MOST == 16
    assert [path.name for path in (tmp_path / "out").iterdir()] == [NAME]
    previews.close()
    assert list((tmp_path / "out").iterdir()) == []


def test_not_more_often_than_an_eye_needs(
    previews: Previews, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mezzotint.cli.preview._PAUSE", 60.0)
    previews.step(progress(0))
    previews.step(progress(1))
    assert size_of(tmp_path / "out") == (4, 4)


def test_pictures_are_the_same_and_the_preview_is_gone(
    cli: Cli, toy: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Image.Image] = []
    monkeypatch.setattr("mezzotint.cli.preview._PAUSE", 0.0)
    monkeypatch.setattr(
        "mezzotint.cli.preview.grid", lambda pictures: written.append(grid(pictures)) or written[-1]
    )
    plain = cli("generate", "a cat", "a dog", "--steps", 4)
    toy.preview = quick
    said = cli("generate", "a cat", "a dog", "--steps", 4, "--preview")
    assert said.lines == plain.lines
    assert len(written) == 8
    assert not Path(said.lines[0]).with_name(NAME).exists()


def test_a_preview_that_cannot_be_written_costs_no_picture(
    cli: Cli, toy: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, image: Image.Image) -> None:
        raise OutputError(f"cannot write {path}: No space left on device")

    toy.preview = quick
    monkeypatch.setattr("mezzotint.cli.preview.write_png", full)
    said = cli("generate", "a cat", "--steps", 4, "--preview")
    assert said.code == 0
    assert [path.name for path in Path(said.lines[0]).parent.iterdir()] == [Path(said.lines[0]).name]


def test_a_model_without_quick_pictures_says_so(cli: Cli, toy: Model) -> None:
    said = cli("generate", "a cat", "--preview")
    assert said.code == 2
    assert "leave --preview out" in said.err
