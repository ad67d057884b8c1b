"""Pictures in a page, inside the page itself: rows of tiles with two lines under each, and whole figures."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.pages.figures import Series
from mezzotint.stats import interval

Pixels = NDArray[np.uint8]  # (H, W, 3)
_ROW = "display:flex;flex-wrap:wrap;gap:10px 8px;margin:4px 0 14px"
_SHOWN = "display:block;width:100%;border:1px solid var(--edge);image-rendering:pixelated"


class Tile(NamedTuple):
    """A picture and the two lines under it."""

    pixels: Pixels | Image.Image
    title: str = ""
    note: str = ""


def tiles(shown: Iterable[Tile], head: str = "", side: int = 88) -> str:
    """A row that goes on below where it does not fit; `side`: pixels of a tile's width on the page."""
    items = "".join(_tile(one, side) for one in shown)
    title = f"<h3>{escape(head)}</h3>" if head else ""
    return f'<figure>{title}<div style="{_ROW}">{items}</div></figure>' if items else ""


def png_figure(data: bytes, said: str) -> str:
    """A figure that is a PNG already, as wide as the page."""
    source = base64.b64encode(data).decode()
    style = "display:block;width:100%;border:1px solid var(--edge)"
    return f'<figure><img alt="{escape(said)}" style="{style}" src="data:image/png;base64,{source}"></figure>'


def side_by_side(*parts: str) -> str:
    """Figures side by side."""
    return f'<div class="two">{"".join(parts)}</div>'


def band_series(name: str, x: Sequence[float], values: NDArray[np.floating], color: str = "") -> Series:
    """A curve of means over the rows of `values` (n, len(x)), with their intervals."""
    found = [interval(column) for column in values.T]
    means, low, high = ([getattr(one, key) for one in found] for key in ("mean", "low", "high"))
    return Series(name, x, means, "line", color, low, high)


def _tile(tile: Tile, side: int) -> str:
    said = escape(f"{tile.title} {tile.note}".strip())
    lines = escape(tile.title) + (f"<br><span>{escape(tile.note)}</span>" if tile.note else "")
    caption = f'<figcaption style="font-size:11px;margin:3px 0 0">{lines}</figcaption>' if said else ""
    return (
        f'<figure style="width:{side}px"><img alt="{said}" style="{_SHOWN}" src="{_source(tile.pixels)}">'
        f"{caption}</figure>"
    )


def _source(pixels: Pixels | Image.Image) -> str:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "WEBP", quality=90)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
