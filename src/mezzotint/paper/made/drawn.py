"""Pictures that sections look at: drawn once, then taken from the store."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from mezzotint.engine import Engine, Network
from mezzotint.library import fit_to_size
from mezzotint.paper.section import PaperSettings
from mezzotint.picture import Picture
from mezzotint.progress import ProgressReporter
from mezzotint.request import Request
from mezzotint.store import precision_of

CAR = "A beautiful picture of a sport car in Tokyo"
COLORS = ("red", "blue", "green", "yellow", "purple", "orange", "pink", "brown")
THINGS = ("cat", "car", "rose", "fish", "butterfly", "house", "apple", "tree")


def pictures(setting: PaperSettings, network: Network, requests: Sequence[Request]) -> list[Picture]:
    """In the order asked; those that the store lacks are drawn together and put into it."""
    store, say = setting.store, setting.say
    precision = precision_of(network)
    found = [store.get(request, network.digest, "fast", precision) for request in requests]
    missing = [request for request, picture in zip(requests, found, strict=True) if picture is None]
    if missing:
        progress = ProgressReporter(say, len(missing), phase=network.name)
        with Engine(network) as engine:
            new = [_result(future, progress) for future in engine.submit_all(missing)]
        for picture in new:
            store.put(picture)
        drawn = iter(new)
        found = [picture or next(drawn) for picture in found]
    return [picture for picture in found if picture]


def _result(future: Future[Picture], progress: ProgressReporter) -> Picture:
    picture = future.result()
    progress.step()
    return picture


def scenes(
    count: int, steps: int = 12, things: Sequence[str] = THINGS, colors: Sequence[str] = COLORS
) -> list[Request]:
    """Requests for a thing before a plain background, each another thing, color and seed."""
    return [
        Request(
            prompt=f"a {things[i % len(things)]} on a {colors[(i // len(things) + i) % len(colors)]} background",
            seed=i,
            steps=steps,
            guidance="cfg(4)",
        )
        for i in range(count)
    ]


def resize_to(picture: Picture, network: Network) -> NDArray[np.uint8]:
    """A picture's pixels (H, W, 3) at the size that another model draws."""
    return fit_to_size(np.asarray(picture.image.convert("RGB")), *network.default_size)
