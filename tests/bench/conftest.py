"""One quick bench of a tiny model, every part of it, for all tests of its result."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mezzotint.bench import BenchSettings, run
from support import tiny


class Ran(NamedTuple):
    result: dict[str, Any]
    said: list[str]
    settings: BenchSettings


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v-prediction, as the bundled model."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny.make_pipeline(folder, v_prediction=True, act="gelu")
    return folder


@pytest.fixture(scope="session")
def ran(folder: Path) -> Ran:
    said: list[str] = []
    settings = BenchSettings(model=str(folder), quick=True, threads=1)
    return Ran(run(settings, said.append), said, settings)
