"""The graphs ask for exactly the weights of the real Stable Diffusion 1.5 and 2.1, by name and shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from mezzotint.models.disk.architecture import TextArch, UNetArch, VaeArch
from mezzotint.models.openvino.text import build_text
from mezzotint.models.openvino.unet import build_unet
from mezzotint.models.openvino.vae import belongs_to_encoder, build_decoder

SD1_UNET = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
SD2_UNET = {
    "sample_size": 96,
    "cross_attention_dim": 1024,
    "attention_head_dim": [5, 10, 20, 20],
    "use_linear_projection": True,
    "upcast_attention": True,
}
VAE: dict[str, Any] = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
}
SD1_TEXT = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
SD2_TEXT = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 23,
    "hidden_act": "gelu",
}


class Recorder:
    """Stands for weights: gives zeros, which take no memory before they are read, and notes what was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, tuple[int, ...]] = {}

    def take(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        assert name not in self.asked, f"{name} is asked for twice"
        self.asked[name] = shape
        return np.zeros(shape, np.float16)


def _flat(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:2] if shape[2:] == (1, 1) else shape


def _asked(build: Any, arch: Any) -> dict[str, tuple[int, ...]]:
    recorder = Recorder()
    build(arch, recorder)
    return {name: _flat(shape) for name, shape in recorder.asked.items()}


def _held(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {n.removeprefix("text_model."): _flat(tuple(w.shape)) for n, w in module.state_dict().items()}


@pytest.mark.parametrize("config", [SD1_UNET, SD2_UNET], ids=["1.5", "2.1"])
def test_unet(config: dict[str, Any]) -> None:
    with torch.device("meta"):
        module = UNet2DConditionModel(**config)
    assert _asked(build_unet, UNetArch.read(dict(module.config), "unet")) == _held(module)


def test_vae() -> None:
    with torch.device("meta"):
        module = AutoencoderKL(**VAE)
    held = {name: shape for name, shape in _held(module).items() if not belongs_to_encoder(name)}
    assert _asked(build_decoder, VaeArch.read(dict(module.config), "vae")) == held


@pytest.mark.parametrize("config", [SD1_TEXT, SD2_TEXT], ids=["1.5", "2.1"])
def test_text(config: dict[str, Any]) -> None:
    with torch.device("meta"):
        module = CLIPTextModel(CLIPTextConfig(**config))
    assert _asked(build_text, TextArch.read({"vocab_size": 49408, **config}, "text_encoder")) == _held(module)
