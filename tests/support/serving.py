"""A server on a toy network, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.testclient import TestClient

from mezzotint.serve.app import create_app
from mezzotint.serve.settings import ServeSettings
from support.toy import Toy

Serve = Callable[..., TestClient]  # settings in, and `network`, `address`; a client out


class Encoding(Toy):
    """A toy that runs may start from a picture with, and that shows how far they are."""

    def encode_picture(self, pixels: NDArray[np.uint8]) -> tuple[Any, Any]:
        h, w = (side // 8 for side in pixels.shape[:2])
        small = pixels.astype(np.float32).reshape(h, 8, w, 8, 3).mean((1, 3)) / 128 - 1
        mean = np.concatenate([np.moveaxis(small, -1, 0), np.zeros((1, h, w), np.float32)])
        return mean, np.zeros_like(mean)

    def preview(self, latents: NDArray[np.float32]) -> NDArray[np.uint8]:
        return np.stack([self.decode(one[None]) for one in latents])


@contextmanager
def servers(store: Path) -> Iterator[Serve]:
    """What starts servers, which end with the `with`."""
    with ExitStack() as running:

        def start(network: Any = None, address: str = "127.0.0.1", **settings: Any) -> TestClient:
            known = {"models": ("toy",), "store": store, **settings}
            app = create_app(ServeSettings(**known), lambda source: network or Toy())
            return running.enter_context(TestClient(app, "http://127.0.0.1", client=(address, 50000)))

        yield start
