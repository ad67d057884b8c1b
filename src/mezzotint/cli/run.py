"""A run: requests through one engine, each picture on disk as soon as it is finished."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from contextlib import ExitStack
from pathlib import Path

from PIL import Image

from mezzotint.cli.display import Display
from mezzotint.cli.output import free_path, make_folder, write_png
from mezzotint.cli.preview import Previews
from mezzotint.cli.strip import Strips
from mezzotint.engine import Engine, Mode, Network, Progress
from mezzotint.errors import MezzotintError
from mezzotint.pages.tiles import make_grid
from mezzotint.picture import Picture
from mezzotint.request import Request

GRID = "grid.png"
"""All pictures of a run side by side."""


class GenerateRun:
    """Makes the pictures of one command. One that fails is remarked; one that cannot be written ends it."""

    def __init__(
        self,
        model: Network,
        folder: Path,
        display: Display,
        as_json: bool,
        trace: bool,
        attention: bool = False,
        ledger: bool = False,
        preview: bool = False,
        grid: bool = False,
    ) -> None:
        self._model, self._folder, self._display, self._as_json = model, folder, display, as_json
        self._attention, self._ledger = attention, ledger
        self._strips = Strips(model) if trace else None
        self._previews = Previews(model, folder) if preview else None
        self._grid: dict[int, Image.Image] | None = {} if grid else None

    def __call__(self, requests: Sequence[Request], mode: Mode) -> int:
        """Returns how many failed. OutputError or Ctrl-C gives up the rest; finished pictures stay."""
        failed = 0
        with ExitStack() as open_:
            if self._previews:
                open_.callback(self._previews.close)
            engine = open_.enter_context(Engine(self._model, mode, self._step))
            self._display.begin(requests, self._model.schedule)
            futures = engine.submit_all(requests, attention=self._attention)
            for number, future in _as_finished(futures):
                failed += not self._settle(number, requests[number], future)
        if self._grid:
            self._write_grid([self._grid[number] for number in sorted(self._grid)])
        return failed

    def _write_grid(self, images: Sequence[Image.Image]) -> None:
        """All pictures in rows, on the disk; about as wide as high."""
        path = self._folder / GRID
        write_png(path, make_grid(images, math.ceil(math.sqrt(len(images))), gap=4))
        self._display.result(json.dumps({"grid": str(path)}) if self._as_json else str(path))

    def _step(self, progress: Progress) -> None:
        if self._strips:
            self._strips.step(progress)
        if self._previews:
            self._previews.step(progress)
        self._display.step(progress)

    def _settle(self, number: int, request: Request, future: Future[Picture]) -> bool:
        try:
            picture = future.result()
        except MezzotintError as error:
            if self._strips:
                self._strips.forget(number)
            self._display.remark(f"error: {request.prompt[:60]!r}, seed {request.seed}: {error}")
            return False
        else:
            self._keep(number, picture)
            return True
        finally:
            if self._previews:
                self._previews.forget(number)
            self._display.picture_done()

    def _keep(self, number: int, picture: Picture) -> None:
        make_folder(self._folder)  # not before there is something to keep
        path = free_path(self._folder, picture)
        picture.save(path)
        if self._grid is not None:
            self._grid[number] = picture.image
        beside = dict(self._beside(number, picture, path))
        if self._as_json:
            more = {what: str(made) for what, made in beside.items()}
            self._display.result(json.dumps(_facts(picture, path) | more))
        else:
            for made in (path, *beside.values()):
                self._display.result(str(made))

    def _beside(self, number: int, picture: Picture, path: Path) -> Iterator[tuple[str, Path]]:
        """Write what else was asked for, next to the picture: what it is, and where."""
        if self._strips:
            strip = path.with_name(f"{path.stem}-trace.png")
            self._strips.strip(number, picture).save(strip)
            yield "trace", strip
        if self._ledger:
            from mezzotint.cli import ledger

            yield from ledger.write(picture, path)
        if picture.attention:
            from mezzotint.cli.heat import sheet

            drawn, maps = (path.with_name(f"{path.stem}-attention.{end}") for end in ("png", "safetensors"))
            sheet(picture).save(drawn)
            yield "attention", drawn
            picture.attention.save(maps, {"request": picture.request.to_json()})
            yield "attention_maps", maps


def _as_finished(futures: list[Future[Picture]]) -> Iterator[tuple[int, Future[Picture]]]:
    """Each as it finishes, with its place in the list; afterwards nothing here keeps it alive."""
    numbers = {future: number for number, future in enumerate(futures)}
    futures.clear()
    for future in as_completed(list(numbers)):
        yield numbers.pop(future), future


def _facts(picture: Picture, path: Path) -> dict[str, object]:
    return {
        "path": str(path),
        "digest": picture.digest,
        "seed": picture.request.seed,
        "seconds": picture.provenance.seconds,
        "evaluations": picture.provenance.evaluations,
        "prompt": picture.request.prompt,
        "request": picture.request.digest,
    }
