"""Pixel models through the engine: the pictures of diffusers' own pipelines, from the same noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mezzotint import Engine, Request, RequestError, generate
from mezzotint.models import PixelModel, open_model
from support.tiny_pixels import FACES, make_pixels

SMALL: dict[str, Any] = {
    **FACES,
    "block_out_channels": (16, 32),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "norm_num_groups": 8,
    "attention_head_dim": 16,
}
both = pytest.mark.parametrize("runtime", ["openvino", "torch"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pixels")


def opened(
    home: Path, runtime: Any = "openvino", config: dict[str, Any] = SMALL, **how: Any
) -> tuple[PixelModel, Any]:
    pipeline = make_pixels(home / "model", config, **how)
    model = open_model(home / "model", runtime, "float32", 1, home / "cache")
    assert isinstance(model, PixelModel)
    return model, pipeline


def theirs(pipeline: Any, seed: int, **how: Any) -> np.ndarray:
    return np.asarray(pipeline(generator=torch.Generator().manual_seed(seed), **how).images[0], np.int16)


def near(ours: Any, reference: np.ndarray) -> bool:
    pixels = np.asarray(ours.image, np.int16)
    assert reference.std() > 20  # else anything gray would do
    return bool(np.abs(pixels - reference).max() <= 2)


def test_ddpm_at_every_timestep_of_training(home: Path) -> None:
    """It draws noise at every step, from the stream that drew the first."""
    small = SMALL | {"block_out_channels": (8, 16), "attention_head_dim": 8}
    model, pipeline = opened(home, config=small, num_train_timesteps=200, beta_end=0.1)
    [picture] = generate(Request(seed=3, steps=200, sampler="ddpm"), model)
    assert picture.provenance.evaluations == 200
    assert near(picture, theirs(pipeline, 3, num_inference_steps=200))


def test_ddpm_with_its_larger_noise(home: Path) -> None:
    model, pipeline = opened(home, variance_type="fixed_large")
    [picture] = generate(Request(seed=3, steps=50, sampler="ddpm"), model)
    assert near(picture, theirs(pipeline, 3, num_inference_steps=50))


@both
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_ddim_in_40_steps(home: Path, runtime: str, prediction: str) -> None:
    model, pipeline = opened(home, runtime, ddim=True, prediction_type=prediction)
    [picture] = generate(Request(seed=4, steps=40, sampler="ddim"), model)
    assert picture.image.size == (16, 16)
    assert near(picture, theirs(pipeline, 4, num_inference_steps=40))


def test_ddim_with_its_noise(home: Path) -> None:
    model, pipeline = opened(home, ddim=True)
    [picture] = generate(Request(seed=5, steps=40, sampler="ddim", eta=0.7), model)
    assert near(picture, theirs(pipeline, 5, num_inference_steps=40, eta=0.7))


def test_without_clipping(home: Path) -> None:
    model, pipeline = opened(home, ddim=True, clip_sample=False, beta_schedule="scaled_linear")
    [picture] = generate(Request(seed=6, steps=20, sampler="ddim"), model)
    assert near(picture, theirs(pipeline, 6, num_inference_steps=20))


def test_guidance_toward_a_prompt_acts_nowhere(home: Path) -> None:
    model, _ = opened(home)
    with Engine(model) as engine:
        pictures = [engine.submit(Request(steps=4, guidance=g)).result() for g in ("cfg(7.5)", "none")]
        assert engine.stats.rows == 8
    assert pictures[0].digest == pictures[1].digest


def test_company_changes_no_bit_in_exact(home: Path) -> None:
    model, _ = opened(home)
    asked = [
        Request(seed=i, steps=3 + i, sampler=s) for i, s in enumerate(("ddpm", "ddim", "dpmpp-2m", "heun"))
    ]
    [alone] = generate(asked[2], model, "exact")
    assert generate(asked, model, "exact")[2].digest == alone.digest


@pytest.mark.parametrize("words", [{"prompt": "a cat"}, {"negative_prompt": "blur"}])
def test_a_prompt_is_refused(home: Path, words: dict[str, str]) -> None:
    with pytest.raises(RequestError, match="model draws without a prompt; leave it out"):
        generate(Request(**words), opened(home)[0])


def test_sides_that_do_not_halve(home: Path) -> None:
    """Every level but the last halves the grid exactly."""
    deep = {**FACES, "block_out_channels": (16,) * 6, "attention_head_dim": 8, "sample_size": 32}
    for key, kind in (("down_block_types", "DownBlock2D"), ("up_block_types", "UpBlock2D")):
        deep[key] = (kind,) * 6
    make_pixels(home / "deep", deep)
    model = open_model(home / "deep", "openvino", "float32", 1, home / "cache")
    with pytest.raises(RequestError, match="makes sides divisible by 32, not 72x64"):
        generate(Request(width=72, height=64), model)
