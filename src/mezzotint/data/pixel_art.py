"""Pixel art: a style that can be made of any picture, which no model of the bundle ever saw."""

from __future__ import annotations

from PIL import Image

NAME = "pixel-art"
WORDS = ("pixel art", "pixelated")
"""What prompts call it; captions say the first."""


def pixel_art(picture: Image.Image, cells: int) -> Image.Image:
    """The picture in cells x cells plain squares, each the mean of what it covers, at the size that it was."""
    small = picture.resize((cells, cells), Image.Resampling.BOX)
    return small.resize(picture.size, Image.Resampling.NEAREST)
