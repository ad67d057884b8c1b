"""From a file to pixels of one size, whatever it holds; and what its first bytes tell."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mezzotint.data.pictures.listing import Binary
from mezzotint.errors import DataError
from mezzotint.image_files import open_image, orientation, upright

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 8192 * 8192
"""More would take gigabytes to decode; the header says so before anything is."""
_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"}


class Header(NamedTuple):
    """Sides in pixels as stored, the file's bytes, and traits that are dealt with when it is decoded."""

    width: int
    height: int
    bytes: int
    traits: tuple[str, ...]


def look(file: Binary) -> Header:
    """Read no more than the header. DataError with a reason, the same words for the same cause up to a colon."""
    try:
        with open_image(file, FORMATS) as image:
            check(image)
            return Header(*image.size, file.seek(0, os.SEEK_END), tuple(_traits(image)))
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(_TOO_LARGE) from None
    except UnidentifiedImageError:
        raise DataError(
            "not a picture, whatever its name says" if file.seek(0, os.SEEK_END) else "an empty file"
        ) from None
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
        raise DataError(f"damaged: {error}") from None


def check(image: Image.Image) -> None:
    """DataError where it is too large, or of a kind that has no colors to show."""
    if image.width * image.height > MAX_PIXELS:
        raise DataError(_TOO_LARGE)
    if not (image.mode in _MODES or image.mode.startswith("I")):
        kind = "floating-point numbers" if image.mode == "F" else image.mode
        raise DataError(f"its pixels are not colors: {kind}")


_TOO_LARGE = f"over {MAX_PIXELS // 2**20} megapixels"


def _traits(image: Image.Image) -> list[str]:
    told = {
        "animated": getattr(image, "is_animated", False),
        "CMYK": image.mode == "CMYK",
        "16-bit": image.mode.startswith("I")
        or any("16" in str(tile.args) for tile in getattr(image, "tile", ())),
        "palette": image.mode in ("P", "PA"),
        "transparent": image.has_transparency_data,
        # Pillow decodes a whole PNG to look for EXIF behind the pixels, so only what stands before them is asked.
        "rotated": "exif" in image.info and orientation(image) > 1,
    }
    return [trait for trait, there in told.items() if there]


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
