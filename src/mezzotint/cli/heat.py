"""The heat-map sheet of a picture: where its denoiser looked for each word, in all, by grid and by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from mezzotint.attention import MARKS, Attention
from mezzotint.cli.sheet import GAP, HEAD, MARGIN, font, new_sheet, paste_tile, tile_size, truncate
from mezzotint.inspection.heat import Size, inferno, overlay
from mezzotint.pages.colors import FAINT, INK
from mezzotint.picture import Picture

COLUMNS = 9  # words side by side; more go on below
STEPS = 5  # small rows by step, at most
_CAPTION, _LEGEND = 46, 24  # pixels


def sheet(picture: Picture) -> Picture:
    """A large panel a word and, under it, small ones: by grid on the left, by step on the right."""
    request, made, attention = picture.request, picture.provenance, picture.attention
    if attention is None:
        raise ValueError("the picture was made without attention=True")
    about = f"cross-attention, {request.steps} steps, seed {request.seed}"
    image = draw(picture.image, attention, " ".join(request.prompt.split()) or "(no prompt)", about)
    note = "a sheet of heat maps, not the picture itself"
    return Picture(image, request, replace(made, warnings=[*made.warnings, note]))


def draw(picture: Image.Image, attention: Attention, title: str, about: str) -> Image.Image:
    """The sheet on paper; the words go on in further blocks, each with the picture at its left."""
    words = list(attention.words) or list(MARKS)
    blocks = [words[i : i + COLUMNS] for i in range(0, len(words), COLUMNS)]
    size = tile_size(*picture.size)
    across = 2 * MARGIN + (size[0] + GAP) * max(4, 1 + len(blocks[0])) - GAP
    tall = _block_height(size, attention)
    canvas = new_sheet(across, tall * len(blocks) + _LEGEND - GAP, title, about)
    for i, block in enumerate(blocks):
        _block(canvas, MARGIN + HEAD + i * tall, picture.convert("RGB"), attention, block)
    _legend(canvas, size[0])
    return canvas


def _block(
    canvas: Image.Image, top: int, picture: Image.Image, attention: Attention, words: Sequence[str]
) -> None:
    size = tile_size(*picture.size)
    paste_tile(canvas, picture, (MARGIN, top), size)
    _caption(canvas, (MARGIN, top + size[1]), size[0], "the picture", "percent of all attention")
    levels, steps = _rows(attention)
    small = _small(size)
    for i in range(max(len(levels), len(steps))):
        y = top + size[1] + _CAPTION + i * (small[1] + GAP)
        for half, names in enumerate((levels, steps)):
            _label(canvas, (MARGIN + half * (small[0] + GAP), y), names[i : i + 1])
    for column, word in enumerate(words, 1):
        _word(canvas, (MARGIN + column * (size[0] + GAP), top), picture, attention, word)


def _word(
    canvas: Image.Image, at: tuple[int, int], picture: Image.Image, attention: Attention, word: str
) -> None:
    """The column of a word."""
    (x, y), size = at, tile_size(*picture.size)
    small = _small(size)
    paste_tile(canvas, overlay(picture, attention.heat(word), size), at, size)
    _caption(canvas, (x, y + size[1]), size[0], word, _percent(attention.share(word)))
    by_level, by_step = list(attention.by_level(word).values()), attention.by_step(word)
    by_step_shown = [by_step[attention.steps[i]] for i in _shown_bins(attention)]
    for half, heats in enumerate((by_level, by_step_shown)):
        for i, heat in enumerate(heats):
            place = x + half * (small[0] + GAP), y + size[1] + _CAPTION + i * (small[1] + GAP)
            paste_tile(canvas, overlay(picture, heat, small), place, small)


def _rows(attention: Attention) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What the small rows are called: by grid, by step."""
    levels = [
        (level.name, "1 layer" if level.layers == 1 else f"{level.layers} layers")
        for level in attention.levels
    ]
    spans = [attention.steps[i] for i in _shown_bins(attention)]
    return levels, [("steps", f"{a} to {b}") if a < b else ("step", f"{a}") for a, b in spans]


def _shown_bins(attention: Attention) -> list[int]:
    """Bins of steps that are shown: an even choice with the first and the last."""
    bins = len(attention.steps)
    return [int(i) for i in np.linspace(0, bins - 1, min(bins, STEPS)).round()]


def _block_height(size: Size, attention: Attention) -> int:
    rows = max(map(len, _rows(attention)))
    return size[1] + _CAPTION + rows * (_small(size)[1] + GAP) + 2 * GAP


def _small(size: Size) -> Size:
    width = (size[0] - GAP) // 2
    return width, max(1, round(size[1] * width / size[0]))


def _caption(canvas: Image.Image, at: tuple[int, int], room: int, title: str, note: str) -> None:
    """Two lines under a large panel."""
    pen, (x, y) = ImageDraw.Draw(canvas), at
    pen.text((x, y + 7), truncate(pen, title, font(14), room), fill=INK, font=font(14))
    pen.text((x, y + 25), truncate(pen, note, font(11), room), fill=FAINT, font=font(11))


def _label(canvas: Image.Image, at: tuple[int, int], names: Sequence[tuple[str, str]]) -> None:
    """The name of a small row, where there is one."""
    pen, (x, y) = ImageDraw.Draw(canvas), at
    for name, more in names:
        pen.text((x, y + 4), name, fill=INK, font=font(12))
        pen.text((x, y + 20), more, fill=FAINT, font=font(11))


def _legend(canvas: Image.Image, width: int) -> None:
    """Which color is how much."""
    pen, y = ImageDraw.Draw(canvas), canvas.height - MARGIN - 8
    bar = inferno(np.linspace(0, 1, width, dtype=np.float32)[None].repeat(8, 0))
    canvas.paste(Image.fromarray(bar.round().astype(np.uint8)), (MARGIN, y))
    said = "least to most attention, each panel by itself"
    pen.text((MARGIN + width + GAP, y - 3), said, fill=FAINT, font=font(11))


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.1f} %" if percent >= 0.05 else "under 0.1 %"
