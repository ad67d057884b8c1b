"""The strip of a picture: the noise it began as, and what it would have been after each of some steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from mezzotint.cli.sheet import GAP, HEAD, MARGIN, Pixels, font, new_sheet, paste_tile, tile_size
from mezzotint.engine import Network, Progress
from mezzotint.pages.colors import FAINT, INK
from mezzotint.picture import Picture
from mezzotint.planning import Plan, plan
from mezzotint.rng import Generator

TILES = 12  # at most, the noise among them
_FOOT = 40  # pixels


class StripTile(NamedTuple):
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
        if progress.done in shown_evaluations(progress.total):
            seen.append((progress.done, self._model.decode(progress.x0[None])))

    def forget(self, number: int) -> None:
        """The picture with this number has failed."""
        self._seen.pop(number, None)

    def strip(self, number: int, picture: Picture) -> Picture:
        """The strip of the picture with this number, as a picture that knows its request."""
        table = plan(picture.request, self._model.schedule)
        request, made = picture.request, picture.provenance
        seen = self._seen.pop(number)
        tiles = [StripTile(pixels, *labels(table, done, request.seed)) for done, pixels in seen]
        about = f"{request.sampler}, {request.steps} steps, {request.guidance}, seed {request.seed}"
        image = draw(tiles, " ".join(request.prompt.split()) or "(no prompt)", about)
        note = f"a strip of {len(tiles)} tiles, not the picture itself"
        return Picture(image, request, replace(made, warnings=[*made.warnings, note]))


def shown_evaluations(total: int) -> set[int]:
    """Evaluations, counted from 1, that become tiles: all, or an even choice with the first and the last."""
    return set(np.linspace(1, total, min(total, TILES - 1)).round().astype(int).tolist())


def draw(tiles: Sequence[StripTile], title: str, about: str) -> Image.Image:
    """Tiles in a row under a headline, on paper."""
    width, height = tile_size(*tiles[0].pixels.shape[1::-1])
    canvas = new_sheet(2 * MARGIN + len(tiles) * (width + GAP) - GAP, height + _FOOT, title, about)
    pen = ImageDraw.Draw(canvas)
    for i, shown in enumerate(tiles):
        x, y = MARGIN + i * (width + GAP), MARGIN + HEAD
        paste_tile(canvas, Image.fromarray(shown.pixels), (x, y), (width, height))
        pen.text((x, y + height + 9), shown.title, fill=INK, font=font(13))
        pen.text((x, y + height + 26), shown.note, fill=FAINT, font=font(12))
    return canvas


def labels(table: Plan, done: int, seed: int) -> tuple[str, str]:
    """Under the state after so many evaluations: the step, and how noisy slot 0 was when it was asked."""
    if done == 0:
        return "noise", f"seed {seed}"
    alpha, sigma = table.alpha[done - 1], table.sigma[done - 1]
    level = "infinite" if alpha == 0 else f"{sigma / alpha:#.3g}".rstrip(".")
    return f"step {table.step[done - 1] + 1}", f"sigma {level}"
