"""The strip of a picture: the noise it began as, and what it would have been after each of some steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mezzotint.engine import Network, Progress
from mezzotint.picture import Picture
from mezzotint.planning import Plan, plan
from mezzotint.rng import Generator

TILES = 12  # at most, the noise among them
_SIDE = 128  # pixels of a tile's longer side, at least; smaller pictures are enlarged
_LARGEST = 192
_MARGIN, _GAP, _HEAD, _FOOT = 28, 10, 34, 40  # pixels
_PAPER, _INK, _FAINT, _EDGE = "#fbfaf7", "#1d1b19", "#8a857d", "#d9d4ca"

Pixels = NDArray[np.uint8]


class Tile(NamedTuple):
    """Pixels (H, W, 3) and the two lines under them."""

    pixels: Pixels
    title: str
    note: str


class Strips:
    """Gathers the tiles of every picture of a run, and makes its strip when it is finished."""

    def __init__(self, model: Network) -> None:
        self._model = model
        self._seen: dict[int, list[tuple[int, Pixels]]] = defaultdict(list)  # evaluations done, pixels

    def step(self, progress: Progress) -> None:
        """Keep x0 where it is one of the tiles. Runs on the engine's thread, which alone may decode."""
        seen = self._seen[progress.id]
        if progress.done == 1:
            noise = Generator(progress.request.seed).normal((progress.x0.size,))
            seen.append((0, self._model.decode(noise.reshape(1, *progress.x0.shape))))
        if progress.done in chosen(progress.total):
            seen.append((progress.done, self._model.decode(progress.x0[None])))

    def forget(self, number: int) -> None:
        """The picture with this number has failed."""
        self._seen.pop(number, None)

    def strip(self, number: int, picture: Picture) -> Picture:
        """The strip of the picture with this number, as a picture that knows its request."""
        table = plan(picture.request, self._model.schedule)
        request, made = picture.request, picture.provenance
        seen = self._seen.pop(number)
        tiles = [Tile(pixels, *labels(table, done, request.seed)) for done, pixels in seen]
        about = f"{request.sampler}, {request.steps} steps, {request.guidance}, seed {request.seed}"
        image = draw(tiles, " ".join(request.prompt.split()) or "(no prompt)", about)
        note = f"a strip of {len(tiles)} tiles, not the picture itself"
        return Picture(image, request, replace(made, warnings=[*made.warnings, note]))


def chosen(total: int) -> set[int]:
    """Evaluations, counted from 1, that become tiles: all, or an even choice with the first and the last."""
    return set(np.linspace(1, total, min(total, TILES - 1)).round().astype(int).tolist())


def draw(tiles: Sequence[Tile], title: str, about: str) -> Image.Image:
    """Tiles in a row under a headline, on paper."""
    width, height = _tile_size(tiles[0].pixels)
    across = 2 * _MARGIN + len(tiles) * (width + _GAP) - _GAP
    canvas = Image.new("RGB", (across, _MARGIN + _HEAD + height + _FOOT + _MARGIN), _PAPER)
    pen = ImageDraw.Draw(canvas)
    _headline(pen, across, title, about)
    for i, tile in enumerate(tiles):
        x, y = _MARGIN + i * (width + _GAP), _MARGIN + _HEAD
        canvas.paste(_resized(tile.pixels, (width, height)), (x, y))
        pen.rectangle((x - 1, y - 1, x + width, y + height), outline=_EDGE)
        pen.text((x, y + height + 9), tile.title, fill=_INK, font=_font(13))
        pen.text((x, y + height + 26), tile.note, fill=_FAINT, font=_font(12))
    return canvas


def labels(table: Plan, done: int, seed: int) -> tuple[str, str]:
    """Under the state after so many evaluations: the step, and how noisy slot 0 was when it was asked."""
    if done == 0:
        return "noise", f"seed {seed}"
    alpha, sigma = table.alpha[done - 1], table.sigma[done - 1]
    level = "infinite" if alpha == 0 else f"{sigma / alpha:#.3g}".rstrip(".")
    return f"step {table.step[done - 1] + 1}", f"sigma {level}"


def _headline(pen: ImageDraw.ImageDraw, across: int, title: str, about: str) -> None:
    """The prompt on the left, as much as fits; how it was made on the right, where there is room."""
    bold, small = _font(19), _font(13)
    room = across - 2 * _MARGIN
    beside = pen.textlength(about, small)
    if beside < room / 2:
        pen.text((across - _MARGIN - beside, _MARGIN + 4), about, fill=_FAINT, font=small)
        room -= int(beside) + 2 * _GAP
    title = title[:400]
    if pen.textlength(title, bold) > room:
        while title and pen.textlength(title + "...", bold) > room:
            title = title[:-1]
        title += "..."
    pen.text((_MARGIN, _MARGIN - 2), title, fill=_INK, font=bold)


def _tile_size(pixels: Pixels) -> tuple[int, int]:
    height, width = pixels.shape[:2]
    scale = min(max(1.0, _SIDE / max(width, height)), _LARGEST / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _resized(pixels: Pixels, size: tuple[int, int]) -> Image.Image:
    image = Image.fromarray(pixels)
    larger = size[0] > image.width
    return image.resize(size, Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The one that comes with Pillow, so that a strip is the same everywhere; it has no Greek."""
    return ImageFont.load_default(size)
