"""`serve` for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving import Serve, servers


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server with these settings; `network` in place of a toy, `address` of the client."""
    with servers(tmp_path / "store") as start:
        yield start
