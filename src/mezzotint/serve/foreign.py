"""What the foreign faces share: their sizes, scales, seeds and pictures in our words."""

from __future__ import annotations

import base64
import binascii
import io
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, ImageOps

from mezzotint.engine import Network
from mezzotint.picture import MAX_PIXELS
from mezzotint.request import UPSCALES, Request
from mezzotint.serve.errors import ServeError
from mezzotint.serve.orders import RANDOM_SEEDS
from mezzotint.serve.service import PictureService
from mezzotint.serve.uploads import keep_picture

FORMATS = ("PNG", "JPEG", "WEBP")
_BEYOND = 1.6
"""Times the model's own pixels: above that a picture is drawn at its own size and enlarged."""


@dataclass
class ForeignRequest:
    """A request in the making, and what is to be said of it."""

    fields: dict[str, Any]
    warnings: list[str] = field(default_factory=list)

    def requests(self, model: str, count: int) -> list[tuple[str, Request]]:
        """As the service takes them: seed, seed + 1, ... RequestError."""
        return [(model, one) for one in Request(**self.fields).repeat(count)]


def seed_of(seed: int | None, count: int) -> int:
    """Null and negative ones are random, below 2**32."""
    return secrets.randbelow(RANDOM_SEEDS - count) if seed is None or seed < 0 else seed


def guidance_of(scale: float) -> str:
    """Clients mean off by a scale of 1 and below."""
    return f"cfg({max(1.0, scale):g})"


def begin_of(strength: float, steps: int) -> int:
    """The step at which image to image begins, as diffusers has it: n - min(int(n*s), n), at most n - 1."""
    return min(steps - 1, steps - min(int(steps * max(0.0, min(1.0, strength))), steps))


def fit_size(translation: ForeignRequest, width: int, height: int, network: Network) -> None:
    """Width and height that the model can draw. What is far beyond its own is drawn at its own and enlarged.

    ServeError for sizes without sense.
    """
    if not (16 <= width <= 8192 and 16 <= height <= 8192):
        raise ServeError(f"size must be from 16x16 to 8192x8192, got {width}x{height}")
    own_width, own_height = network.default_size
    factor = 1
    for factor in UPSCALES:
        if width * height <= _BEYOND * factor**2 * own_width * own_height:
            break
    wide, high = width / factor, height / factor
    if (beyond := wide * high / (_BEYOND * own_width * own_height)) > 1:
        wide, high = wide / beyond**0.5, high / beyond**0.5
    side = network.side_multiple
    drawn = tuple(max(64, side * round(value / side)) for value in (wide, high))
    if drawn != network.default_size:
        translation.fields["width"], translation.fields["height"] = drawn
    if factor > 1:
        translation.fields["upscale"] = factor
    made = (drawn[0] * factor, drawn[1] * factor)
    if made != (width, height):
        translation.warnings.append(f"{width}x{height} is made as {made[0]}x{made[1]}")
    if factor > 1:
        translation.warnings.append(f"drawn at {drawn[0]}x{drawn[1]} and enlarged {factor} times")


def decode_base64(text: str, what: str) -> bytes:
    """The bytes, with or without a `data:` prefix. ServeError; an address is never fetched."""
    text = text.partition(",")[2] if text.startswith("data:") else text
    if text[:8].lower().startswith(("http:", "https:", "file:")):
        raise ServeError(f"{what} must be base64; addresses are not fetched")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ServeError(f"{what} is not base64") from None


def open_image(data: bytes, what: str) -> Image.Image:
    """A PNG, JPEG or WebP as RGBA; its size is read before its pixels. ServeError."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise ServeError(f"{what} has more than {MAX_PIXELS} pixels")
            return ImageOps.exif_transpose(opened).convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise ServeError(f"{what} is not a PNG, JPEG or WebP picture") from None


def keep_image(image: Image.Image) -> str:
    """The digest by which `Request.init` and `mask` name it."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return keep_picture(buffer.getvalue()).digest


def model_of(service: PictureService, name: str | None) -> str:
    """The served name; none is the first. UnknownModelError names those that there are."""
    if not name:
        return next(iter(service.settings.sources))
    service.hosts.source(name)
    return name


def warn_of_unknown(
    translation: ForeignRequest, given: Mapping[str, Any], unused: Mapping[str, tuple[Any, ...]]
) -> None:
    """Say each field that has no counterpart here and does not stand at a value without effect."""
    for name, value in given.items():
        if name in unused and value not in unused[name]:
            translation.warnings.append(f"{name} has no counterpart here and was left out")
