"""`serve` for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from support.serving import Serve, servers


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server with these settings; `network` in place of a toy, `address` of the client."""
    with servers(tmp_path / "store") as start:
        yield start


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Of one server for all tests of a file that change nothing."""
    with servers(tmp_path_factory.mktemp("store")) as start:
        yield start(max_count=50, hosts=("pictures.example",))
