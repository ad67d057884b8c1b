"""Tiny text-to-image models with random weights, written by diffusers itself, as real ones come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
_MERGES = ["c a", "t h", "a t</w>", "ca t</w>", "th e</w>", "o n</w>", "m o", "mo on</w>", "i n", "in g</w>"]


class Made(NamedTuple):
    """A pipeline and the folder that it was saved to."""

    folder: Path
    pipeline: Any


def make_pipeline(
    folder: Path,
    *,
    text_width: int = 32,
    text_layers: int = 2,
    act: str = "quick_gelu",
    v_prediction: bool = False,
    linear_projection: bool = False,
    heads: int | list[int] = 4,
    channels: tuple[int, ...] = (32, 64),
    layers: int = 1,
    all_cross: bool = False,
    vae_channels: tuple[int, ...] = (32, 32, 64, 64),
    sample_size: int = 8,
    half: bool = False,
    seed: int = 0,
) -> StableDiffusionPipeline:
    """Write a pipeline of the Stable Diffusion family to `folder` and return it, in eval mode, in float32."""
    torch.manual_seed(seed)
    plain = "CrossAttnDownBlock2D" if all_cross else "DownBlock2D"
    crossed = ["CrossAttnDownBlock2D"] * (len(channels) - 1)
    down = (*crossed, plain)
    up = tuple(name.replace("Down", "Up") for name in reversed(down))
    unet = UNet2DConditionModel(
        sample_size=sample_size,
        block_out_channels=channels,
        layers_per_block=layers,
        down_block_types=down,
        up_block_types=up,
        cross_attention_dim=text_width,
        attention_head_dim=heads,
        use_linear_projection=linear_projection,
    )
    vae = AutoencoderKL(
        block_out_channels=vae_channels,
        down_block_types=("DownEncoderBlock2D",) * len(vae_channels),
        up_block_types=("UpDecoderBlock2D",) * len(vae_channels),
        latent_channels=4,
    )
    tokenizer = make_tokenizer(folder / "tokenizer", pad="!" if v_prediction else END)
    text = CLIPTextModel(_text_config(tokenizer, text_width, text_layers, act))
    for network in (unet, vae, text):
        _shake(network)
    kind = DDIMScheduler if v_prediction else PNDMScheduler
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=kind(**_scheduler(v_prediction)),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    if half:
        pipeline.to(torch.float16)
    pipeline.save_pretrained(folder)
    return pipeline.to(torch.float32)


def make_tokenizer(folder: Path, pad: str = END) -> CLIPTokenizer:
    """A small CLIP vocabulary in the files of Stable Diffusion's repositories, as transformers reads it."""
    letters = list(_byte_letters())
    words = [merge.replace(" ", "") for merge in _MERGES]
    tokens = ["!", *(c for c in letters if c != "!"), *(c + "</w>" for c in letters), *words, START, END]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(_MERGES) + "\n")
    config = {"model_max_length": 77, "pad_token": END, "tokenizer_class": "CLIPTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    marks = {"bos_token": _mark(START), "eos_token": _mark(END), "unk_token": _mark(END), "pad_token": pad}
    (folder / "special_tokens_map.json").write_text(json.dumps(marks))
    return CLIPTokenizer.from_pretrained(folder)


def _mark(token: str) -> dict[str, Any]:
    return {"content": token, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}


def _byte_letters() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def _text_config(tokenizer: CLIPTokenizer, width: int, layers: int, act: str) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 64),
        max_position_embeddings=77,
        hidden_act=act,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _scheduler(v_prediction: bool) -> dict[str, Any]:
    common = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}
    if v_prediction:
        return {**common, "prediction_type": "v_prediction", "set_alpha_to_one": False, "clip_sample": False}
    return {**common, "prediction_type": "epsilon", "set_alpha_to_one": False, "skip_prk_steps": True}


def _shake(network: torch.nn.Module) -> None:
    """Norms and biases away from one and zero, so that a forgotten one is noticed."""
    network.eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_((0.02 if weight.ndim > 1 else 0.2) * torch.randn_like(weight))
