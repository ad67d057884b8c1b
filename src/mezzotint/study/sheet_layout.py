"""Where everything of a contact sheet lies, in points: tiles as wide as the page allows, and labels that are never cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import ImageFont

from mezzotint.study.sheet import ContactSheet, SheetGroup, SheetRow

WIDTH, HEIGHT, MARGIN = 595.0, 842.0, 36.0  # points of A4, and the margin around it
GAP = 6.0  # between tiles
ACROSS, LARGEST = 8, 132.0  # tiles in a row at most, and points of a tile's width
TITLE, HEADING, LABEL = 14.0, 9.5, 7.5  # points of the letters
_LINE = 1.3  # the height of a line, in heights of its letters
_BESIDE = 96.0  # points for the label of a row at most


@dataclass(frozen=True)
class TextLine:
    """A line of text whose top left corner is at (x, y)."""

    x: float
    y: float
    text: str
    size: float
    bold: bool = False
    faint: bool = False


@dataclass(frozen=True)
class PictureBox:
    """The picture of a key, None where it is missing, in a box whose top left corner is at (x, y)."""

    x: float
    y: float
    width: float
    height: float
    key: str | None


Item = TextLine | PictureBox


@dataclass(frozen=True)
class SheetBand:
    """What lies side by side, from its own top on. `head`: what is repeated above it where a page begins with it."""

    height: float
    items: tuple[Item, ...]
    head: SheetBand | None = None
    keep: bool = False  # on the page of the next one


def bands(sheet: ContactSheet, shape: float = 1.0) -> Iterator[SheetBand]:
    """The sheet from top to bottom, as wide as A4. `shape`: height of a picture by its width."""
    room = WIDTH - 2 * MARGIN
    yield _text(sheet.title, TITLE, room, bold=True, below=2)
    if sheet.about:
        yield _text(sheet.about, LABEL, room, faint=True, below=8)
    beside = _label_width(row.label for group in sheet.groups for row in group.rows)
    for group in sheet.groups:
        if group.heading:
            yield _text(group.heading, HEADING, room, below=2, above=6, keep=True)
        yield from _blocks(sheet.columns, group, beside, shape)


def pages(all_bands: Sequence[SheetBand], height: float = HEIGHT) -> list[list[Item]]:
    """The items of each page; a row of pictures is never parted, and its header goes along."""
    sheets: list[list[Item]] = []
    y = height  # as if a page were full
    for i, band in enumerate(all_bands):
        together = band.height
        for k in range(i, len(all_bands) - 1):
            if not all_bands[k].keep:
                break
            together += all_bands[k + 1].height
        if y + together > height - MARGIN:
            sheets.append([])
            y = MARGIN
            if band.head:
                sheets[-1] += _shift(band.head, y)
                y += band.head.height
        sheets[-1] += _shift(band, y)
        y += band.height
    return sheets


def total_height(all_bands: Sequence[SheetBand]) -> float:
    """The height of a page that holds all."""
    return 2 * MARGIN + sum(band.height for band in all_bands)


def _blocks(columns: Sequence[str], group: SheetGroup, beside: float, shape: float) -> Iterator[SheetBand]:
    """The columns, as many as fit side by side and the rest below them."""
    count = -(-len(columns) // ACROSS)
    some = -(-len(columns) // count)  # so that the last block is about as wide as the others
    room = WIDTH - 2 * MARGIN - beside
    side = min(LARGEST, (room + GAP) / some - GAP)
    for start in range(0, len(columns), some):
        head = _header(columns[start : start + some], beside, side)
        yield head
        for row in group.rows:
            yield _pictures(row, slice(start, start + some), head, beside, (side, side * shape))


def _header(labels: Sequence[str], beside: float, side: float) -> SheetBand:
    """Above each column what it differs in, on as many lines as that takes, the last just above the pictures."""
    lines = [wrap(label, LABEL, side) for label in labels]
    most = max(map(len, lines))
    items = [
        TextLine(MARGIN + beside + i * (side + GAP), (most - len(some) + k) * LABEL * _LINE, text, LABEL)
        for i, some in enumerate(lines)
        for k, text in enumerate(some)
    ]
    return SheetBand(most * LABEL * _LINE + 3, tuple(items), keep=True)


def _pictures(
    row: SheetRow, some: slice, head: SheetBand, beside: float, size: tuple[float, float]
) -> SheetBand:
    width, height = size
    label = wrap(row.label, LABEL, beside - GAP) if row.label else []
    items: list[Item] = [
        TextLine(MARGIN, k * LABEL * _LINE, text, LABEL, faint=True) for k, text in enumerate(label)
    ]
    items += [
        PictureBox(MARGIN + beside + i * (width + GAP), 0.0, width, height, key)
        for i, key in enumerate(row.keys[some])
    ]
    return SheetBand(max(height, len(label) * LABEL * _LINE) + GAP, tuple(items), head)


def _text(
    text: str,
    size: float,
    room: float,
    bold: bool = False,
    faint: bool = False,
    above: float = 0.0,
    below: float = 0.0,
    keep: bool = False,
) -> SheetBand:
    lines = wrap(text, size, room, bold)
    items = [
        TextLine(MARGIN, above + k * size * _LINE, line, size, bold, faint) for k, line in enumerate(lines)
    ]
    return SheetBand(above + len(lines) * size * _LINE + below, tuple(items), keep=keep)


def _label_width(labels: Iterator[str]) -> float:
    """Room for the labels of rows: as wide as the widest, or less where they are long."""
    widest = max((width_of(label, LABEL) for label in labels), default=0.0)
    return min(_BESIDE, widest + GAP) if widest else 0.0


def _shift(band: SheetBand, y: float) -> Iterator[Item]:
    for item in band.items:
        if isinstance(item, PictureBox):
            yield PictureBox(item.x, item.y + y, item.width, item.height, item.key)
        else:
            yield TextLine(item.x, item.y + y, item.text, item.size, item.bold, item.faint)


def wrap(text: str, size: float, room: float, bold: bool = False) -> list[str]:
    """Lines that are no wider than the room; a word that is wider is parted."""
    lines = [""]
    for word in text.split():
        if (longer := f"{lines[-1]} {word}".strip()) and width_of(longer, size, bold) <= room:
            lines[-1] = longer
            continue
        lines += [""] if lines[-1] else []
        for letter in word:
            if lines[-1] and width_of(lines[-1] + letter, size, bold) > room:
                lines.append("")
            lines[-1] += letter
    return lines


def width_of(text: str, size: float, bold: bool = False) -> float:
    """Points."""
    return font(100, bold).getlength(text) * size / 100


@cache
def font(pixels: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and has Greek and Cyrillic too."""
    from matplotlib import get_data_path

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(get_data_path()) / "fonts/ttf" / name, pixels)
