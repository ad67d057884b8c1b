"""The original Stable Diffusion layout: its weights by diffusers' names, and the configs they imply.

One file of the original layout holds all three networks and no configs: what differs between models of the
family is read from the shapes, the rest is what Stable Diffusion 1.x and 2.x have in common.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from mezzotint.models.disk.weights import BYTES, Tensor

Stored = Mapping[str, Tensor]

UNET, VAE = "model.diffusion_model.", "first_stage_model."
CLIP, OPEN_CLIP = "cond_stage_model.transformer.", "cond_stage_model.model."
# Stable Diffusion 2 reads OpenCLIP's states before its last, 24th layer.
_OPEN_CLIP_LAYERS = 23

_UNET_ENDS = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
    "middle_block.0": "mid_block.resnets.0",
    "middle_block.1": "mid_block.attentions.0",
    "middle_block.2": "mid_block.resnets.1",
}
_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
# What training and other tools leave in files, and what drawing does not use.
_VAE_UNUSED = ("loss.", "model_ema.")  # the discriminator and its perceptual network
_CLIP_UNUSED = ("text_projection", "logit_scale", "visual_projection", "vision_model")
_VAE = {
    "mid.block_1": "mid_block.resnets.0",
    "mid.block_2": "mid_block.resnets.1",
    "mid.attn_1.norm": "mid_block.attentions.0.group_norm",
    "mid.attn_1.q": "mid_block.attentions.0.to_q",
    "mid.attn_1.k": "mid_block.attentions.0.to_k",
    "mid.attn_1.v": "mid_block.attentions.0.to_v",
    "mid.attn_1.proj_out": "mid_block.attentions.0.to_out.0",
    "norm_out": "conv_norm_out",
    "nin_shortcut": "conv_shortcut",
}
_OPEN_CLIP = {
    "positional_embedding": "embeddings.position_embedding.weight",
    "token_embedding": "embeddings.token_embedding",
    "ln_final": "final_layer_norm",
    "transformer.resblocks": "encoder.layers",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}


def part_of(stored: Stored, prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with this prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in stored.items() if name.startswith(prefix)}


def unet_weights(own: Stored) -> dict[str, Tensor]:
    """The denoiser's weights by diffusers' names."""
    per_level = _unet_layers(own) + 1
    return {_unet_name(name, per_level): tensor for name, tensor in own.items()}


def _unet_name(name: str, per_level: int) -> str:
    found = re.fullmatch(r"(input|output)_blocks\.(\d+)\.(\d+)\.(.*)", name)
    if not found or name.startswith("input_blocks.0."):
        return _rename(_rename(name, _UNET_ENDS), _RESNET)
    way, slot, rest = found[1], int(found[3]), found[4]
    level, place = divmod(int(found[2]) - (way == "input"), per_level)
    block = f"{'down' if way == 'input' else 'up'}_blocks.{level}"
    if rest.startswith("op."):
        return f"{block}.downsamplers.0.conv.{rest[3:]}"
    if rest.startswith("conv."):
        return f"{block}.upsamplers.0.{rest}"
    return (
        f"{block}.attentions.{place}.{rest}" if slot else f"{block}.resnets.{place}.{_rename(rest, _RESNET)}"
    )


def original_unet_names(layers: Iterable[str]) -> dict[str, list[str]]:
    """The original names of a denoiser's layers, which are given by diffusers' names; one of two where it hangs."""
    layers = list(layers)
    per_level = _count(layers, r"down_blocks\.0\.resnets\.(\d+)\.") + 1
    return {layer: _original_names(layer, per_level) for layer in layers}


def _original_names(layer: str, per_level: int) -> list[str]:
    piece = r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)"
    if not (found := re.fullmatch(piece, layer)):
        return [_rename(_rename(layer, _invert(_RESNET)), _invert(_UNET_ENDS))]
    way, level, kind, place, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    block, first = ("input_blocks", 1) if way == "down" else ("output_blocks", 0)
    first += level * per_level
    if kind == "downsamplers":
        return [f"{block}.{first + per_level - 1}.0.op"]
    if kind == "upsamplers":  # behind the attention, where there is one
        return [f"{block}.{first + per_level - 1}.{slot}.{rest}" for slot in (1, 2)]
    if kind == "attentions":
        return [f"{block}.{first + place}.1.{rest}"]
    return [f"{block}.{first + place}.0.{_rename(rest, _invert(_RESNET))}"]


def _invert(table: Mapping[str, str]) -> dict[str, str]:
    return {new: old for old, new in table.items()}


def vae_weights(own: Stored) -> dict[str, Tensor]:
    """The autoencoder's weights by diffusers' names."""
    levels = _count(own, r"decoder\.up\.(\d+)\.")
    return {
        _vae_name(name, levels): tensor for name, tensor in own.items() if not name.startswith(_VAE_UNUSED)
    }


def _vae_name(name: str, levels: int) -> str:
    name = re.sub(r"\.down\.(\d+)\.block\.", r".down_blocks.\1.resnets.", name)
    name = re.sub(r"\.down\.(\d+)\.downsample\.", r".down_blocks.\1.downsamplers.0.", name)
    name = re.sub(r"\.up\.(\d+)\.block\.", lambda m: f".up_blocks.{levels - 1 - int(m[1])}.resnets.", name)
    name = re.sub(
        r"\.up\.(\d+)\.upsample\.", lambda m: f".up_blocks.{levels - 1 - int(m[1])}.upsamplers.0.", name
    )
    return _rename(name, _VAE)


def clip_weights(own: Stored) -> dict[str, Tensor]:
    """The text encoder of Stable Diffusion 1 by transformers' names."""
    named = {name.removeprefix("text_model."): tensor for name, tensor in own.items()}
    return {name: tensor for name, tensor in named.items() if name.partition(".")[0] not in _CLIP_UNUSED}


def open_clip_weights(own: Stored) -> dict[str, Tensor]:
    """The text encoder of Stable Diffusion 2 by transformers' names: no last layer; q, k, v apart."""
    kept: dict[str, Tensor] = {}
    for name, tensor in own.items():
        layer = re.match(r"transformer\.resblocks\.(\d+)\.", name)
        if (layer and int(layer[1]) >= _OPEN_CLIP_LAYERS) or name in (
            "text_projection",
            "logit_scale",
            "attn_mask",
        ):
            continue
        joined = re.fullmatch(r"(.*)\.attn\.in_proj_(weight|bias)", name)
        if joined:
            for letter, third in zip("qkv", _thirds(tensor), strict=True):
                kept[f"{_rename(joined[1], _OPEN_CLIP)}.self_attn.{letter}_proj.{joined[2]}"] = third
        else:
            kept[_rename(name, _OPEN_CLIP)] = tensor
    return kept


def unet_config(own: Stored, open_clip: bool, sample_size: int) -> dict[str, Any]:
    """What `unet/config.json` would say."""
    layers = _unet_layers(own)
    downs = sum(name.endswith(".0.op.weight") for name in own)
    first = [1 + level * (layers + 1) for level in range(downs + 1)]
    channels = [own[f"input_blocks.{k}.0.in_layers.2.weight"].shape[0] for k in first]
    down = [f"input_blocks.{k}.1.norm.weight" in own for k in first]
    up = [f"output_blocks.{level * (layers + 1)}.1.norm.weight" in own for level in range(downs + 1)]
    return {
        "_class_name": "UNet2DConditionModel",
        "in_channels": own["input_blocks.0.0.weight"].shape[1],
        "out_channels": own["out.2.weight"].shape[0],
        "sample_size": sample_size,
        "block_out_channels": channels,
        "layers_per_block": layers,
        "down_block_types": ["CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in down],
        "up_block_types": ["CrossAttnUpBlock2D" if attends else "UpBlock2D" for attends in up],
        "cross_attention_dim": own["middle_block.1.transformer_blocks.0.attn2.to_k.weight"].shape[1],
        "transformer_layers_per_block": _count(own, r"middle_block\.1\.transformer_blocks\.(\d+)\."),
        "use_linear_projection": len(own["middle_block.1.proj_in.weight"].shape) == 2,
        "attention_head_dim": [c // 64 for c in channels] if open_clip else 8,
    }


def vae_config(own: Stored) -> dict[str, Any]:
    """What `vae/config.json` would say."""
    levels = _count(own, r"decoder\.up\.(\d+)\.")
    return {
        "_class_name": "AutoencoderKL",
        "block_out_channels": [own[f"decoder.up.{i}.block.0.conv2.weight"].shape[0] for i in range(levels)],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "layers_per_block": _count(own, r"decoder\.up\.0\.block\.(\d+)\.") - 1,
        "latent_channels": own["decoder.conv_in.weight"].shape[1],
        "scaling_factor": 0.18215,
    }


def text_config(weights: Stored, open_clip: bool) -> dict[str, Any]:
    """What `text_encoder/config.json` would say, from weights by transformers' names."""
    vocab, width = weights["embeddings.token_embedding.weight"].shape
    return {
        "vocab_size": vocab,
        "hidden_size": width,
        "intermediate_size": weights["encoder.layers.0.mlp.fc1.weight"].shape[0],
        "num_hidden_layers": _count(weights, r"encoder\.layers\.(\d+)\."),
        "num_attention_heads": max(1, width // 64),
        "max_position_embeddings": weights["embeddings.position_embedding.weight"].shape[0],
        "hidden_act": "gelu" if open_clip else "quick_gelu",
    }


def _unet_layers(own: Stored) -> int:
    """Residual blocks a level: the first block that only shrinks the grid follows them."""
    ops = [int(m[1]) for m in (re.match(r"input_blocks\.(\d+)\.0\.op\.", name) for name in own) if m]
    return min(ops) - 1 if ops else _count(own, r"input_blocks\.(\d+)\.") - 1


def _count(names: Iterable[str], pattern: str) -> int:
    """One more than the largest number that the pattern finds."""
    return 1 + max((int(m[1]) for m in (re.match(pattern, name) for name in names) if m), default=-1)


def _rename(name: str, table: Mapping[str, str]) -> str:
    """The name with whole dotted pieces replaced, at most one entry of the table."""
    for old, new in table.items():
        found = re.search(rf"(?:^|(?<=\.)){re.escape(old)}(?=\.|$)", name)
        if found:
            name = name[: found.start()] + new + name[found.end() :]
    return name


def _thirds(tensor: Tensor) -> list[Tensor]:
    rows = tensor.shape[0] // 3
    size = rows * math.prod(tensor.shape[1:]) * BYTES[tensor.dtype]
    shape = (rows, *tensor.shape[1:])
    return [replace(tensor, shape=shape, offset=tensor.offset + k * size) for k in range(3)]
