"""A server on a toy network, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from mezzotint.serve.app import create_app
from mezzotint.serve.settings import ServeSettings
from toy import Toy

Serve = Callable[..., TestClient]  # settings in, and `network`, `address`; a client out


@contextmanager
def servers(store: Path) -> Iterator[Serve]:
    """What starts servers, which end with the `with`."""
    with ExitStack() as running:

        def start(network: Any = None, address: str = "127.0.0.1", **settings: Any) -> TestClient:
            known = {"models": ("toy",), "store": store, **settings}
            app = create_app(ServeSettings(**known), lambda source: network or Toy())
            return running.enter_context(TestClient(app, "http://127.0.0.1", client=(address, 50000)))

        yield start
