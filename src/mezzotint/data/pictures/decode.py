"""From a file to pixels of one size, whatever the file holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.data.pictures.header import FORMATS, check
from mezzotint.data.pictures.listing import Binary
from mezzotint.image_files import open_image, upright

Pixels = NDArray[np.uint8]
LONGEST = 4
"""Of a long picture, so many times its short side are kept for random crops: the middle."""


def decode(file: Binary, size: int, whole: bool = False, background: str | None = "white") -> Pixels:
    """(size, size, 3): the middle square of the upright first frame; where `whole`, only its short side is `size`.

    Transparency is laid on the background; where that is None, a picture that has any comes as RGBA (…, 4).
    Raises whatever Pillow raises for a damaged file, DataError for one that is too large.
    """
    with open_image(file, FORMATS) as image:
        check(image)
        image.draft(None, (2 * size, 2 * size))  # a JPEG is decoded no larger than is of use
        image.load()
        scaled = _resize(_plain(upright(image)), size, whole)
    if scaled.mode == "RGBA" and background is not None:
        ground = Image.new("RGBA", scaled.size, background)
        scaled = Image.alpha_composite(ground, scaled).convert("RGB")
    return np.asarray(scaled)


def _plain(image: Image.Image) -> Image.Image:
    """RGB or RGBA, 8 bits; RGBA only where something shows through."""
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64) // 257  # 16 bits to 8: 65535 becomes 255
        image = Image.fromarray(deep.clip(0, 255).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    above = image.convert("RGBA")
    return above.convert("RGB") if np.asarray(above)[..., 3].min() == 255 else above


def _resize(image: Image.Image, size: int, whole: bool) -> Image.Image:
    """The middle, at most LONGEST squares of it where `whole`, scaled to `size` on the short side."""
    short = min(image.size)
    most = LONGEST if whole else 1
    width, height = (min(side, short * most) for side in image.size)
    left, top = (image.width - width) / 2, (image.height - height) / 2
    new = (max(size, round(size * width / short)), max(size, round(size * height / short)))
    box = (left, top, left + width, top + height)
    return image.resize(new, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
