"""Tiny models in folders, one of each generation, and a cache that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mezzotint.models import Model, open_model
from support import tiny
from support.tiny import Made


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


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the tests of a module share."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def home_model(home: Path) -> Made:
    """The usual tiny pipeline."""
    return Made(home / "model", tiny.make_pipeline(home / "model"))


@pytest.fixture(scope="module")
def home_opened(home_model: Made, home: Path) -> Callable[[str], Model]:
    """`home_opened("openvino")`: that pipeline, in float32, kept for the module."""
    models: dict[str, Any] = {}

    def get(runtime: Any) -> Model:
        if runtime not in models:
            models[runtime] = open_model(home_model.folder, runtime, "float32", 1, home / "compiled")
        return models[runtime]  # type: ignore[no-any-return]

    return get


@pytest.fixture
def home_cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default cache, in that folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    return home / "cache" / "mezzotint"
