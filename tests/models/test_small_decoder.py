"""The small decoder: one network in two runtimes, close to the full one, and what previews do without it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mezzotint.errors import ModelError
from mezzotint.models import Model, open_model
from mezzotint.models.bundled import BUNDLED
from mezzotint.models.openvino.small import SmallArch, compile_small, small_part
from mezzotint.models.steering.small_decoder import SmallDecoder
from mezzotint.models.steering.steered import linear_map
from support import tiny


def made(folder: Path) -> SmallDecoder:
    torch.manual_seed(0)
    decoder = SmallDecoder(SmallArch(4, 8, 2, 4))
    decoder.save(folder / "decoder_small")
    return decoder


def test_the_graph_is_the_module(tmp_path: Path, cache: Path) -> None:
    made(tmp_path)
    part = small_part(tmp_path, cache)
    assert part is not None
    module = SmallDecoder.open(part)
    graph = compile_small(module.arch, part.weights(), 1)
    z = np.random.default_rng(0).standard_normal((3, 4, 5, 6), np.float32)
    assert graph(z).shape == (3, 20, 24, 3)
    assert graph(z) == pytest.approx(module.numpy(z), abs=1e-4)


def test_a_damaged_one_is_named(tmp_path: Path, cache: Path) -> None:
    assert small_part(tmp_path, cache) is None
    made(tmp_path)
    config = tmp_path / "decoder_small/config.json"
    for change, said in (
        ({"channels": 9}, "has shape"),
        ({"blocks": 0}, "blocks is 0"),
        ({"_class_name": "X"}, "'X'"),
    ):
        config.write_text(json.dumps(SmallArch(4, 8, 2, 4).config | change))
        part = small_part(tmp_path, cache)
        assert part is not None
        with pytest.raises(ModelError, match=said):
            SmallDecoder.open(part)


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_previews_with_a_small_decoder_and_without(runtime: str, tmp_path: Path, cache: Path) -> None:
    tiny.make_pipeline(tmp_path, text_layers=1, channels=(32,), vae_channels=(32, 32, 32))
    z = np.random.default_rng(0).standard_normal((2, 4, 8, 6), np.float32)
    linear = open_model(tmp_path, runtime, "float32", 1, cache).preview(z)  # type: ignore[arg-type]
    made(tmp_path)
    small = open_model(tmp_path, runtime, "float32", 1, cache).preview(z)  # type: ignore[arg-type]
    for pictures in (linear, small):
        assert pictures.shape == (2, 32, 24, 3)
        assert pictures.dtype == np.uint8
        assert pictures.std() > 0
    assert not np.array_equal(linear, small)


def test_a_linear_map_is_found_again_and_exact_where_the_decoder_is_linear(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).uniform(-0.05, 0.05, (5, 3)).astype(np.float32)
    calls = []

    def decode(z: np.ndarray) -> np.ndarray:
        calls.append(z.shape)
        return (np.moveaxis(z, 1, -1) @ matrix[:4] + matrix[4]).repeat(2, 1).repeat(2, 2)

    assert linear_map(decode, 4, "digest", tmp_path) == pytest.approx(matrix, abs=1e-5)
    count = len(calls)
    assert linear_map(decode, 4, "digest", tmp_path) == pytest.approx(matrix, abs=1e-5)
    assert len(calls) == count
    linear_map(decode, 4, "another", tmp_path)
    assert len(calls) == 2 * count


@pytest.mark.skipif(not BUNDLED["emoji"].is_installed, reason="this copy has no bundled model")
def test_the_bundled_one_is_close_to_the_full_decoder(cache: Path) -> None:
    model = open_model("emoji", "openvino", "float32", 1, cache)
    assert isinstance(model, Model)
    picture = np.full((128, 128, 3), (240, 235, 220), np.uint8)
    picture[30:90, 40:100] = (200, 40, 50)
    z, _ = model.encode_picture(picture)
    full, small = model.decode(z[None]), model.preview(z[None])[0]
    assert np.abs(full.astype(float) - small).mean() < 8  # of 255
