"""How sheets of pictures look: paper, ink, and a headline, for strips and heat maps alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mezzotint.pages.colors import EDGE, FAINT, INK, PAPER

MARGIN, GAP, HEAD = 28, 10, 34  # pixels
_SIDE = 128  # pixels of a tile's longer side, at least; smaller pictures are enlarged
_LARGEST = 192

Pixels = NDArray[np.uint8]


def new_sheet(across: int, down: int, title: str, about: str) -> Image.Image:
    """Paper with its headline, which has room for so much below it; `across` is with the margins."""
    canvas = Image.new("RGB", (across, 2 * MARGIN + HEAD + down), PAPER)
    _headline(ImageDraw.Draw(canvas), across, title, about)
    return canvas


def _headline(pen: ImageDraw.ImageDraw, across: int, title: str, about: str) -> None:
    """The prompt on the left, as much as fits; how it was made on the right, where there is room."""
    bold, small = font(19), font(13)
    room = across - 2 * MARGIN
    beside = pen.textlength(about, small)
    if beside < room / 2:
        pen.text((across - MARGIN - beside, MARGIN + 4), about, fill=FAINT, font=small)
        room -= int(beside) + 2 * GAP
    pen.text((MARGIN, MARGIN - 2), truncate(pen, title[:400], bold, room), fill=INK, font=bold)


def truncate(pen: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, room: int) -> str:
    """As much of a text as fits."""
    if pen.textlength(text, font) > room:
        while text and pen.textlength(text + "...", font) > room:
            text = text[:-1]
        text += "..."
    return text


def tile_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) at which a picture of this size is shown."""
    scale = min(max(1.0, _SIDE / max(width, height)), _LARGEST / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def paste_tile(canvas: Image.Image, image: Image.Image, at: tuple[int, int], size: tuple[int, int]) -> None:
    """A picture of this size with a thin frame. Enlarged pixels stay pixels."""
    x, y = at
    larger = size[0] > image.width
    shown = image.resize(size, Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS)
    canvas.paste(shown, at)
    ImageDraw.Draw(canvas).rectangle((x - 1, y - 1, x + size[0], y + size[1]), outline=EDGE)


def font(size: int) -> ImageFont.FreeTypeFont:
    """The one that comes with Pillow, so that a sheet is the same everywhere; it has no Greek."""
    return ImageFont.load_default(size)  # type: ignore[return-value]  # where Pillow has FreeType
