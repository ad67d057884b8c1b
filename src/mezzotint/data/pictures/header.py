"""What the first bytes of a picture tell: its size, what is unusual about it, and whether it can be used."""

from __future__ import annotations

import os
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from mezzotint.data.pictures.listing import Binary
from mezzotint.errors import DataError
from mezzotint.image_files import open_image, orientation

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
