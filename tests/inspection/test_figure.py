"""The figure: any number of channels and steps, any title, and pixels that are there."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mezzotint.inspection.figure import LatentsFigure, draw
from mezzotint.inspection.latents import PictureLatents
from mezzotint.inspection.noise import levels
from support.toy import schedule


@pytest.mark.parametrize(
    ("channels", "sampler", "steps", "title"),
    [(3, "ddim", 1, "$x_{$"), (9, "ddpm", 200, "<b> % & " * 30)],
)
def test_any_model_and_any_run(channels: int, sampler: str, steps: int, title: str) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (64, 48, 3), np.uint8)
    z = PictureLatents(rng.standard_normal((channels, 8, 6)).astype(np.float32), "m", "d", 1.0, 48, 64)
    run = levels(schedule(), sampler, steps)
    png = draw(LatentsFigure(title, "about", picture, z, picture, sampler, run, steps - 1, picture))
    image = Image.open(io.BytesIO(png)).convert("RGB")
    assert image.width > 1200
    shown = {tuple(pixel) for pixel in np.asarray(image).reshape(-1, 3)[::3].tolist()}
    assert len(shown & {tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()}) > 1000


def test_latents_that_are_all_the_same() -> None:
    z = PictureLatents(np.zeros((4, 8, 8), np.float32), "m", "d", 1.0, 64, 64)
    picture = np.zeros((64, 64, 3), np.uint8)
    assert draw(LatentsFigure("", "", picture, z, picture, "lms", levels(schedule(), "lms", 3), 0, picture))
