"""Pictures to latents: both runtimes as diffusers, built only when asked for, and bad sizes refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from mezzotint.errors import RequestError
from mezzotint.models import Model, open_model

Opened = Callable[[str, str], Model]
both = pytest.mark.parametrize("runtime", ["openvino", "torch"])
either = pytest.mark.parametrize("name", ["first", "second"])


def picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


def theirs(vae: Any, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        latents = vae.encode(x).latent_dist
    scaling = vae.config.scaling_factor
    return (latents.mean * scaling)[0].numpy(), (latents.std * scaling)[0].numpy()


@both
@either
@pytest.mark.parametrize("size", [(64, 64), (32, 88)])
def test_encode_picture(
    opened: Opened, request: pytest.FixtureRequest, name: str, runtime: str, size: tuple[int, int]
) -> None:
    model, pixels = opened(name, runtime), picture(*size)
    for ours, right in zip(
        model.encode_picture(pixels),
        theirs(request.getfixturevalue(name).pipeline.vae, pixels),
        strict=True,
    ):
        assert ours.shape == right.shape == (4, size[0] // model.vae_factor, size[1] // model.vae_factor)
        assert ours.dtype == np.float32
        assert np.abs(ours - right).max() <= 3e-5 * max(1, np.abs(right).max())


def test_a_model_without_quant_conv(first: Any, tmp_path: Path) -> None:
    """As some later autoencoders: moments come straight from the encoder."""
    from diffusers import AutoencoderKL

    folder = tmp_path / "model"
    shutil.copytree(first.folder, folder)
    config, weights = folder / "vae/config.json", folder / "vae/diffusion_pytorch_model.safetensors"
    config.write_text(json.dumps({**json.loads(config.read_text()), "use_quant_conv": False}))
    kept = {name: value for name, value in load_file(weights).items() if not name.startswith("quant_conv")}
    save_file(kept, weights)
    model, pixels = open_model(folder, "openvino", "float32", 1, tmp_path / "cache"), picture(64, 64)
    mean, _ = theirs(AutoencoderKL.from_pretrained(folder / "vae"), pixels)
    assert np.abs(model.encode_picture(pixels)[0] - mean).max() < 3e-5


def test_the_encoder_is_built_when_it_is_asked_for(first: Any, tmp_path: Path) -> None:
    model = open_model(first.folder, "openvino", "float32", 1, tmp_path)
    model.prepare(1)
    model.decode(np.zeros((1, 4, 8, 8), np.float32))
    assert not list((tmp_path / "networks").glob("encoder-*"))
    model.encode_picture(picture(64, 64))
    assert len(list((tmp_path / "networks").glob("encoder-*"))) == 1


@both
def test_a_side_that_does_not_divide_is_refused(opened: Opened, runtime: str) -> None:
    with pytest.raises(RequestError, match="divide by 8, got 60x64"):
        opened("first", runtime).encode_picture(picture(64, 60))
