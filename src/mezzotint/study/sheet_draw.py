"""A contact sheet as a file: one long PNG, or a PDF of A4 pages whose text can be searched and whose pixels are kept."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw

from mezzotint.errors import ConfigError
from mezzotint.pages.colors import EDGE, FAINT, INK
from mezzotint.study.sheet import ContactSheet
from mezzotint.study.sheet_layout import (
    HEIGHT,
    WIDTH,
    Item,
    PictureBox,
    TextLine,
    bands,
    font,
    pages,
    total_height,
)

ReadPicture = Callable[[str], Image.Image]
"""The picture of a key."""
SCALE = 2.5  # pixels of a PNG for each point
TALLEST = 30_000  # pixels, which viewers still open
_MISSING = "missing"


def draw_png(sheet: ContactSheet, read: ReadPicture, shape: float = 1.0) -> bytes:
    """All on one page. ConfigError where it would be too tall for viewers."""
    all_bands = list(bands(sheet, shape))
    height = round(total_height(all_bands) * SCALE)
    if height > TALLEST:
        raise ConfigError(
            f"the sheet would be {height} pixels tall, and viewers open {TALLEST}; write a .pdf, or fewer --seeds"
        )
    canvas = Image.new("RGB", (round(WIDTH * SCALE), height), "white")
    pen = ImageDraw.Draw(canvas)
    for item in pages(all_bands, total_height(all_bands) + 1)[0]:
        _paste(canvas, pen, item, read)
    buffer = BytesIO()
    canvas.save(buffer, "PNG", dpi=(72 * SCALE, 72 * SCALE))
    return buffer.getvalue()


def draw_pdf(sheet: ContactSheet, read: ReadPicture, shape: float = 1.0) -> bytes:
    """A4 pages; each picture keeps its pixels."""
    from matplotlib.backends.backend_pdf import PdfPages

    buffer = BytesIO()
    facts = {"Title": sheet.title, "Creator": "mezzotint", "CreationDate": None}
    with PdfPages(buffer, metadata=facts) as file:  # None leaves the date out
        for items in pages(list(bands(sheet, shape))):
            file.savefig(_figure(items, read))
    return buffer.getvalue()


def _paste(canvas: Image.Image, pen: ImageDraw.ImageDraw, item: Item, read: ReadPicture) -> None:
    """On the PNG."""
    x, y = round(item.x * SCALE), round(item.y * SCALE)
    if isinstance(item, TextLine):
        color = FAINT if item.faint else INK
        pen.text((x, y), item.text, color, font(round(item.size * SCALE), item.bold))
        return
    across, down = round(item.width * SCALE), round(item.height * SCALE)
    if item.key is None:
        pen.text((x + 8, y + 8), _MISSING, FAINT, font(round(7 * SCALE)))
    else:
        image = read(item.key).convert("RGB")
        scale = min(across / image.width, down / image.height)
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        canvas.paste(image.resize(size, Image.Resampling.LANCZOS), (x, y))
    pen.rectangle((x - 1, y - 1, x + across, y + down), outline=EDGE)


def _figure(items: list[Item], read: ReadPicture) -> Any:
    """A page, with axes over all of it whose units are points."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(HEIGHT, 0), autoscale_on=False)
    axes.axis("off")
    for item in items:
        if isinstance(item, PictureBox):
            _place(axes, item, read)
        else:
            _write(axes, item)
    return figure


def _write(axes: Any, words: TextLine) -> None:
    axes.text(
        words.x, words.y + words.size, words.text, fontsize=words.size, family="DejaVu Sans",
        weight="bold" if words.bold else "normal", color=FAINT if words.faint else INK, parse_math=False,
    )  # fmt: skip


def _place(axes: Any, tile: PictureBox, read: ReadPicture) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((tile.x, tile.y), tile.width, tile.height, fill=False, ec=EDGE, lw=0.5))
    if tile.key is None:
        _write(axes, TextLine(tile.x + 4, tile.y + 4, _MISSING, 7, faint=True))
        return
    image = read(tile.key).convert("RGB")
    scale = min(tile.width / image.width, tile.height / image.height)
    right, bottom = tile.x + image.width * scale, tile.y + image.height * scale
    axes.imshow(image, extent=(tile.x, right, bottom, tile.y), interpolation="none", aspect="auto", zorder=2)
