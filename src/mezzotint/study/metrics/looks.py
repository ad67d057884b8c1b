"""What a picture looks like, from its pixels alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from mezzotint.data.scenes import PALETTE
from mezzotint.evaluation.cases import border_color, lab
from mezzotint.picture import Picture
from mezzotint.study.metrics.metric import Context, Metric, batches

Floats = NDArray[np.float64]
_BACKGROUND = re.compile(
    r"\b(" + "|".join(sorted(PALETTE, key=len, reverse=True)) + r") background\b", re.IGNORECASE
)


def pixels(image: Image.Image) -> Floats:
    """(H, W, 3) in 0..255."""
    return np.asarray(image.convert("RGB"), np.float64)


def sharpness(image: Image.Image) -> float:
    """The variance of the Laplacian of the luma, 0..255 (Pech-Pacheco et al. 2000), edges mirrored as OpenCV does."""
    y = np.pad(pixels(image) @ np.array([0.299, 0.587, 0.114]), 1, mode="reflect")
    around = y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:]
    return float((around - 4 * y[1:-1, 1:-1]).var())


def colorfulness(image: Image.Image) -> float:
    """M3 of Hasler & Suesstrunk 2003: 0 is gray, 109 extremely colorful."""
    r, g, b = np.moveaxis(pixels(image), -1, 0)
    opponents = np.stack([(r - g).ravel(), ((r + g) / 2 - b).ravel()])
    return float(np.linalg.norm(opponents.std(1)) + 0.3 * np.linalg.norm(opponents.mean(1)))


def clipped_share(image: Image.Image) -> float:
    """The share of channel values at 0 or 255. A white background counts: compare with the same seed unguided."""
    x = pixels(image)
    return float(np.mean((x == 0) | (x == 255)))


def color_right(picture: Picture) -> float:
    """1 where the border's color is nearest to the one that the prompt gives its background, else 0; nan without one."""
    found = _BACKGROUND.search(picture.request.prompt)
    return float(border_color(picture.image) == found[1].lower()) if found else np.nan


def color_distance(image: Image.Image, color: str) -> float:
    """CIELAB distance (1976) of the mean color to a wished one; nan without one."""
    if not color:
        return np.nan
    mean = pixels(image).mean((0, 1))
    wanted = np.array(ImageColor.getrgb(color)[:3], np.float64)
    return float(np.linalg.norm(np.subtract(*lab(np.stack([mean, wanted])))))


def _per_picture(
    measured: Callable[[Picture, Context], float],
) -> Callable[[Sequence[Picture], Context], list[float]]:
    return lambda pictures, context: [measured(p, context) for part in batches(pictures) for p in part]


LOOKS = (
    Metric(
        "sharpness", frozenset(), _per_picture(lambda p, _: sharpness(p.image)), "variance of the Laplacian"
    ),
    Metric(
        "colorfulness",
        frozenset(),
        _per_picture(lambda p, _: colorfulness(p.image)),
        "Hasler and Suesstrunk: 0 is gray, 109 extremely colorful",
    ),
    Metric(
        "clipped",
        frozenset(),
        _per_picture(lambda p, _: clipped_share(p.image)),
        "share of values at 0 or 255",
        False,
    ),
    Metric(
        "color_right",
        frozenset(),
        _per_picture(lambda p, _: color_right(p)),
        "share whose border has the color that the prompt gives the background",
        True,
    ),
    Metric(
        "color_distance",
        frozenset(),
        _per_picture(lambda p, c: color_distance(p.image, c.wanted_color(p.request))),
        "CIELAB distance of the mean color to the wished one",
        False,
    ),
    Metric(
        "evaluations",
        frozenset(),
        _per_picture(lambda p, _: float(p.provenance.evaluations)),
        "calls of the denoiser",
        False,
    ),
    Metric(
        "seconds", frozenset(), _per_picture(lambda p, _: p.provenance.seconds), "from noise to pixels", False
    ),
)
