"""Pictures in rows."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image


def make_grid(pictures: Sequence[Image.Image], across: int = 8, gap: int = 0) -> Image.Image:
    """One picture of many on white, so many in a row, each in a cell of the largest's size; `gap`: pixels between them."""
    width, height = (max(picture.size[side] for picture in pictures) for side in (0, 1))
    across = min(across, len(pictures))
    down = -(-len(pictures) // across)
    sheet = Image.new("RGB", (across * (width + gap) - gap, down * (height + gap) - gap), "white")
    for place, picture in enumerate(pictures):
        row, column = divmod(place, across)
        sheet.paste(picture, (column * (width + gap), row * (height + gap)))
    return sheet
