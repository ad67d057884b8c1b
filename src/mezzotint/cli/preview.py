"""Pictures on their way in one file, `preview.png`, for a viewer that follows it: rough, by the model's small decoder."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock

from PIL import Image

from mezzotint.cli.output import write_png
from mezzotint.engine import Network, Progress
from mezzotint.engine.network import Latents, SupportsPreview
from mezzotint.errors import OutputError, RequestError
from mezzotint.pages.tiles import make_grid

NAME = "preview.png"
MOST = 16  # pictures at once, the first that are not finished
_SIDE = 256  # pixels at most
_PAUSE = 0.4  # seconds between two


class Previews:
    """What each unfinished picture would be if it ended here. The file is gone when the run is over."""

    def __init__(self, model: Network, folder: Path) -> None:
        if not isinstance(model, SupportsPreview):
            raise RequestError(f"{model.name} has no quick pictures; leave --preview out")
        self._preview, self._path = model.preview, folder / NAME
        self._seen: dict[int, Latents] = {}
        self._door, self._due = Lock(), 0.0

    def step(self, progress: Progress) -> None:
        """Runs on the engine's thread, which alone may decode."""
        with self._door:
            self._seen[progress.id] = progress.x0
            if time.monotonic() < self._due:
                return
            shown = [self._seen[number] for number in sorted(self._seen)[:MOST]]
        with suppress(OutputError):  # that nothing can be written there is told by the pictures themselves
            write_png(self._path, grid([self._decode(x0) for x0 in shown]))
        self._due = time.monotonic() + _PAUSE

    def forget(self, number: int) -> None:
        """The picture with this number is finished, or has failed."""
        with self._door:
            self._seen.pop(number, None)

    def close(self) -> None:
        """Nothing is on its way any more."""
        self._path.unlink(missing_ok=True)

    def _decode(self, x0: Latents) -> Image.Image:
        return Image.fromarray(self._preview(x0[None])[0])


def grid(pictures: list[Image.Image]) -> Image.Image:
    """In rows, as square as can be."""
    for picture in pictures:
        picture.thumbnail((_SIDE, _SIDE))
    return make_grid(pictures, math.ceil(math.sqrt(len(pictures))))
