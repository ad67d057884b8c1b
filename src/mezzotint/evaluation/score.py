"""What a picture is taken for: by the judge, or by the color of its border."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.data.scenes import PALETTE
from mezzotint.evaluation.prompts import Case
from mezzotint.models.image_text import ImageText

Floats = NDArray[np.float64]


def right(case: Case, image: Image.Image, judge: ImageText, objects: Sequence[str], top: int = 5) -> bool:
    """Whether the picture is what was asked: the first choice, or among the top of all objects."""
    if case.kind == "color":
        return border_color(image) == case.wanted[0]
    ranked = judge.rank(image, case.choices or objects)
    if case.choices:
        return ranked[0] in case.wanted
    if case.kind == "two objects":
        return all(name in ranked[: 2 * top] for name in case.wanted)
    return any(name in ranked[:top] for name in case.wanted)


def border_color(image: Image.Image, width: float = 0.05) -> str:
    """The name of the palette's color nearest to the median of the border, in CIELAB."""
    pixels = np.asarray(image.convert("RGB"), np.float64)
    edge = max(1, round(width * pixels.shape[0]))
    sides = [pixels[:edge], pixels[-edge:], pixels[:, :edge], pixels[:, -edge:]]
    median = np.median(np.concatenate([side.reshape(-1, 3) for side in sides]), 0)
    names = list(PALETTE)
    distances = np.linalg.norm(lab(np.array([PALETTE[name] for name in names])) - lab(median[None]), axis=1)
    return names[int(distances.argmin())]


def lab(rgb: Floats) -> Floats:
    """CIELAB (n, 3) of sRGB (n, 3) in 0..255, white D65."""
    c = np.asarray(rgb, np.float64) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)
