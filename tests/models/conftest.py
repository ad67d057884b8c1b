"""Tiny models in folders, one of each generation, and a cache that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import tiny
from mezzotint.models import Model, open_model


class Made(NamedTuple):
    folder: Path
    pipeline: Any


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """As Stable Diffusion 1.4: text 77x768, epsilon, the grid without attention at the bottom."""
    folder = tmp_path_factory.mktemp("models") / "first"
    return Made(folder, tiny.make_pipeline(folder, text_width=768, channels=(32, 64)))


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """As Stable Diffusion 2: v, linear projections, heads of one size, gelu, "!" for padding, float16."""
    folder = tmp_path_factory.mktemp("models") / "second"
    made = tiny.make_pipeline(
        folder,
        text_width=64,
        act="gelu",
        v_prediction=True,
        linear_projection=True,
        heads=[1, 2],
        channels=(64, 128),
        layers=2,
        half=True,
        seed=1,
    )
    return Made(folder, made)


@pytest.fixture(scope="session")
def smallest(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """As small as the family allows, where only files matter."""
    folder = tmp_path_factory.mktemp("models") / "smallest"
    made = tiny.make_pipeline(folder, text_layers=1, channels=(32,), vae_channels=(32,), seed=2)
    return Made(folder, made)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def opened(first: Made, second: Made, cache: Path) -> Callable[[str, str], Model]:
    """`opened("first", "openvino")`, in float32, kept for the session."""
    kept: dict[tuple[str, str], Model] = {}

    def get(name: str, runtime: str) -> Model:
        if (name, runtime) not in kept:
            folder = {"first": first, "second": second}[name].folder
            asked: Any = runtime
            threads = (
                1 if runtime == "torch" else None
            )  # torch's threads spin while they wait for a busy core
            kept[name, runtime] = open_model(folder, asked, "float32", threads, cache)
        return kept[name, runtime]

    return get
