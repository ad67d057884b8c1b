"""A run: requests through one engine, each picture on disk as soon as it is finished."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from pathlib import Path

from mezzotint.cli.display import Display
from mezzotint.cli.folder import file_name, make_folder
from mezzotint.cli.strip import Strips
from mezzotint.engine import Engine, Mode, Network, Progress
from mezzotint.errors import MezzotintError
from mezzotint.picture import Picture
from mezzotint.request import Request


class Run:
    """Makes the pictures of one command. One that fails is remarked; one that cannot be written ends it."""

    def __init__(self, model: Network, folder: Path, display: Display, as_json: bool, trace: bool) -> None:
        self._model, self._folder, self._display, self._as_json = model, folder, display, as_json
        self._strips = Strips(model) if trace else None

    def __call__(self, requests: Sequence[Request], mode: Mode) -> int:
        """Returns how many failed. OutputError or Ctrl-C gives up the rest; finished pictures stay."""
        failed = 0
        with Engine(self._model, mode, self._step) as engine:
            self._display.begin(requests, self._model.schedule)
            futures = engine.submit_all(requests)
            for number, future in _finished(futures):
                failed += not self._settle(number, requests[number], future)
        return failed

    def _step(self, progress: Progress) -> None:
        if self._strips:
            self._strips.step(progress)
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
            self._display.settled()

    def _keep(self, number: int, picture: Picture) -> None:
        make_folder(self._folder)  # not before there is something to keep
        path = self._folder / file_name(picture)
        picture.save(path)
        strip = None
        if self._strips:
            strip = path.with_name(f"{path.stem}-trace.png")
            self._strips.strip(number, picture).save(strip)
        if self._as_json:
            self._display.result(json.dumps(_facts(picture, path, strip)))
        else:
            for made in filter(None, (path, strip)):
                self._display.result(str(made))


def _finished(futures: list[Future[Picture]]) -> Iterator[tuple[int, Future[Picture]]]:
    """Each as it finishes, with its place in the list; afterwards nothing here keeps it alive."""
    numbers = {future: number for number, future in enumerate(futures)}
    futures.clear()
    for future in as_completed(list(numbers)):
        yield numbers.pop(future), future


def _facts(picture: Picture, path: Path, strip: Path | None) -> dict[str, object]:
    facts: dict[str, object] = {
        "path": str(path),
        "digest": picture.digest,
        "seed": picture.request.seed,
        "seconds": picture.provenance.seconds,
        "evaluations": picture.provenance.evaluations,
        "prompt": picture.request.prompt,
        "request": picture.request.digest,
    }
    return facts | ({"trace": str(strip)} if strip else {})
