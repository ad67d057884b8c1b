"""Tiny pixel models with random weights, written by diffusers itself, as real ones come."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMPipeline, DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel
from safetensors.torch import load_file, save_file

# As google/ddpm-celebahq-256: one level attends with one head, halving pads right and below only.
CELEBA: dict[str, Any] = {
    "block_out_channels": (32, 32, 64),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 2,
    "attention_head_dim": None,
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "norm_eps": 1e-6,
    "sample_size": 16,
}
# As our own: the two deepest levels attend with heads 32 wide.
FACES: dict[str, Any] = {
    "block_out_channels": (32, 64, 96, 160),
    "down_block_types": ("DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
    "attention_head_dim": 32,
    "norm_num_groups": 16,
    "sample_size": 16,
}
PLAIN: dict[str, Any] = {
    "block_out_channels": (32, 64),
    "down_block_types": ("DownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "add_attention": False,
    "sample_size": (16, 8),
}
# As the networks that courses train on handwritten digits: one channel.
GRAY: dict[str, Any] = {**PLAIN, "in_channels": 1, "out_channels": 1, "sample_size": 28}
CONFIGS = {"celeba": CELEBA, "faces": FACES, "plain": PLAIN, "gray": GRAY}
_OLD = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}


def make_unet(config: dict[str, Any], seed: int = 0) -> UNet2DModel:
    """In eval mode, with norms and biases away from one and zero, so that a forgotten one is noticed."""
    torch.manual_seed(seed)
    unet = UNet2DModel(**config).eval().requires_grad_(False)
    for weight in unet.parameters():
        weight.add_((0.02 if weight.ndim > 1 else 0.2) * torch.randn_like(weight))
    return unet


def make_pixels(folder: Path, config: dict[str, Any], ddim: bool = False, **scheduler: Any) -> Any:
    """Write a pipeline to `folder` and return it."""
    if ddim:
        made = DDIMPipeline(unet=make_unet(config), scheduler=DDIMScheduler(**scheduler))
    else:
        made = DDPMPipeline(unet=make_unet(config), scheduler=DDPMScheduler(**scheduler))
    made.save_pretrained(folder)
    made.set_progress_bar_config(disable=True)
    return made


def flattened(folder: Path, target: Path) -> Path:
    """The same model as the oldest ones on the hub lie: all in one folder, attention by its old names."""
    target.mkdir()
    shutil.copy(folder / "model_index.json", target)
    shutil.copy(folder / "scheduler" / "scheduler_config.json", target)
    shutil.copy(folder / "unet" / "config.json", target)
    weights = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    for new, old in _OLD.items():
        weights = {name.replace(new, old): value for name, value in weights.items()}
    save_file(weights, target / "diffusion_pytorch_model.safetensors")
    return target
