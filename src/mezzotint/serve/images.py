"""Pictures as files of a format, with their recipe inside."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.infotext import infotext
from mezzotint.picture import Picture
from mezzotint.serve.errors import ServeError

Format = Literal["png", "webp", "jpeg"]
FORMATS: tuple[Format, ...] = get_args(Format)
_DESCRIPTION, _EXIF, _COMMENT = 0x010E, 0x8769, 0x9286  # tags of EXIF


def media_type(format_: Format) -> str:
    """As HTTP names it."""
    return f"image/{format_}"


def format_of(name: str, accept: str = "") -> Format:
    """By its name, else the first that a client accepts, else PNG. ServeError names those that there are."""
    if name:
        known: dict[str, Format] = {"jpg": "jpeg", **{one: one for one in FORMATS}}
        if name.lower() not in known:
            raise ServeError(f"format is {', '.join(FORMATS)}; got {name[:20]!r}")
        return known[name.lower()]
    kinds = [part.split(";")[0].strip() for part in accept.split(",")]
    return next((one for kind in kinds for one in FORMATS if kind == media_type(one)), "png")


def encode_picture(picture: Picture, format_: Format, quality: int = 90) -> bytes:
    """The file. WebP at a quality of 100 is lossless. JPEG and WebP have the recipe in EXIF: `UserComment` as
    AUTOMATIC1111 writes it, `ImageDescription` with the request and provenance as our PNG has them."""
    if format_ == "png":
        return picture.to_bytes()
    p = picture.provenance
    version = p.versions.get("mezzotint", "")
    text = infotext(picture.request, picture.image.size, p.model, p.model_digest, version, p.a1111)
    exif = Image.Exif()
    recipe = {"request": json.loads(picture.request.to_json()), "provenance": asdict(p)}
    exif[_DESCRIPTION] = json.dumps({"mezzotint": recipe})
    exif.get_ifd(_EXIF)[_COMMENT] = b"UNICODE\0" + text.encode("utf-16-be")
    return _encoded(picture.image, format_, quality, exif.tobytes())


def encode_preview(pixels: NDArray[np.uint8], quality: int = 80) -> bytes:
    """A JPEG of (H, W, 3)."""
    return _encoded(Image.fromarray(pixels), "jpeg", quality)


def _encoded(image: Image.Image, format_: Format, quality: int, exif: bytes = b"") -> bytes:
    more = {"lossless": True} if format_ == "webp" and quality >= 100 else {"quality": quality}
    if exif:
        more["exif"] = exif  # type: ignore[assignment]
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format_.upper(), **more)
    return buffer.getvalue()
