"""What a network of the Stable Diffusion 1.x/2.x family may be, read from its configs.

A setting that would change the arithmetic and that Mezzotint does not follow is an error: silently other
pictures are worse than none. Settings that only matter for training are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mezzotint.errors import ModelError

Config = Mapping[str, Any]

_UNET_ONLY: dict[str, tuple[Any, ...]] = {
    "center_input_sample": (False,),
    "downsample_padding": (1,),
    "mid_block_scale_factor": (1,),
    "act_fn": ("silu",),
    "only_cross_attention": (False,),
    "mid_block_only_cross_attention": (None, False),
    "mid_block_type": ("UNetMidBlock2DCrossAttn",),
    "num_attention_heads": (None,),
    "dual_cross_attention": (False,),
    "encoder_hid_dim": (None,),
    "encoder_hid_dim_type": (None,),
    "class_embed_type": (None,),
    "num_class_embeds": (None,),
    "addition_embed_type": (None,),
    "resnet_time_scale_shift": ("default",),
    "resnet_skip_time_act": (False,),
    "resnet_out_scale_factor": (1,),
    "time_embedding_type": ("positional",),
    "time_embedding_dim": (None,),
    "time_embedding_act_fn": (None,),
    "timestep_post_act": (None,),
    "time_cond_proj_dim": (None,),
    "conv_in_kernel": (3,),
    "conv_out_kernel": (3,),
    "attention_type": ("default",),
    "cross_attention_norm": (None,),
    "class_embeddings_concat": (False,),
    "reverse_transformer_layers_per_block": (None,),
}
_VAE_ONLY: dict[str, tuple[Any, ...]] = {
    "act_fn": ("silu",),
    "latents_mean": (None,),
    "latents_std": (None,),
    "shift_factor": (None, 0),
    "mid_block_add_attention": (True,),
}
_TEXT_ONLY: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("quick_gelu", "gelu"),
    "use_attention_mask": (None, False),
}
# Bounds of what a config may ask for: widths, counts of layers, latents along a side.
_WIDE, _MANY, _SIDE = 1_000_000, 100, 1024
_DOWN = {"DownBlock2D": False, "CrossAttnDownBlock2D": True}
_UP = {"UpBlock2D": False, "CrossAttnUpBlock2D": True}


@dataclass(frozen=True)
class UNetArch:
    """A UNet2DConditionModel. Tuples have one value for each level, from the largest grid to the smallest."""

    latent_channels: int
    channels: tuple[int, ...]
    layers: tuple[int, ...]  # residual blocks a level on the way down; one more on the way up
    heads: tuple[int, ...]  # attention heads (diffusers calls the number `attention_head_dim`)
    depth: tuple[int, ...]  # transformer blocks in each attention layer
    down_attends: tuple[bool, ...]
    up_attends: tuple[bool, ...]  # from the smallest grid to the largest, as the blocks are numbered
    context: int  # width of the text states
    groups: int
    eps: float
    flip_sin_to_cos: bool
    freq_shift: float
    sample_size: tuple[int, int]  # (height, width) of the latents it was trained on

    @classmethod
    def read(cls, c: Config, where: str) -> UNetArch:
        """From `unet/config.json`; ModelError for what is not in the family."""
        _check(c, _UNET_ONLY, where)
        channels = _ints(c, "block_out_channels", (320, 640, 1280, 1280), where)
        n = len(channels)
        if _int(c, "in_channels", 4, where) != _int(c, "out_channels", 4, where):
            raise ModelError(
                f"{where}: in_channels differs from out_channels; inpainting and edit models are not served"
            )
        down = c.get("down_block_types", ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"])
        up = c.get("up_block_types", ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3)
        return cls(
            latent_channels=_int(c, "in_channels", 4, where),
            channels=channels,
            layers=_level_ints(c, "layers_per_block", 2, n, where, _MANY),
            heads=_level_ints(c, "attention_head_dim", 8, n, where),
            depth=_level_ints(c, "transformer_layers_per_block", 1, n, where, _MANY),
            down_attends=_blocks(down, _DOWN, n, where),
            up_attends=_blocks(up, _UP, n, where),
            context=_int(c, "cross_attention_dim", 1280, where),
            groups=_int(c, "norm_num_groups", 32, where),
            eps=_real(c, "norm_eps", 1e-5, where, 0, 1),
            flip_sin_to_cos=bool(c.get("flip_sin_to_cos", True)),
            freq_shift=_real(c, "freq_shift", 0, where, 0, max(0, channels[0] // 2 - 1)),
            sample_size=_size(c, 64, where),
        )


@dataclass(frozen=True)
class VaeArch:
    """The decoder of an AutoencoderKL, widths from the largest grid to the smallest."""

    latent_channels: int
    out_channels: int
    channels: tuple[int, ...]
    layers: int
    groups: int
    scaling_factor: float
    post_quant_conv: bool
    force_upcast: bool  # float16 overflows in it

    @property
    def factor(self) -> int:
        """Pixels along a side for each latent."""
        return int(2 ** (len(self.channels) - 1))

    @classmethod
    def read(cls, c: Config, where: str) -> VaeArch:
        """From `vae/config.json`; ModelError for what is not in the family."""
        _check(c, _VAE_ONLY, where)
        channels = _ints(c, "block_out_channels", (64,), where)
        _blocks(
            c.get("up_block_types", ["UpDecoderBlock2D"]), {"UpDecoderBlock2D": False}, len(channels), where
        )
        return cls(
            latent_channels=_int(c, "latent_channels", 4, where),
            out_channels=_int(c, "out_channels", 3, where),
            channels=channels,
            layers=_int(c, "layers_per_block", 1, where, _MANY),
            groups=_int(c, "norm_num_groups", 32, where),
            scaling_factor=_real(c, "scaling_factor", 0.18215, where, 1e-6, 1e6),
            post_quant_conv=bool(c.get("use_post_quant_conv", True)),
            force_upcast=bool(c.get("force_upcast", True)),
        )


@dataclass(frozen=True)
class TextArch:
    """A CLIPTextModel."""

    vocab: int
    width: int
    inner: int
    layers: int
    heads: int
    length: int  # tokens, 77 for CLIP
    act: str
    eps: float

    @classmethod
    def read(cls, c: Config, where: str) -> TextArch:
        """From `text_encoder/config.json`; ModelError for what is not in the family."""
        _check(c, _TEXT_ONLY, where)
        return cls(
            vocab=_int(c, "vocab_size", 49408, where),
            width=_int(c, "hidden_size", 512, where),
            inner=_int(c, "intermediate_size", 2048, where),
            layers=_int(c, "num_hidden_layers", 12, where, _MANY),
            heads=_int(c, "num_attention_heads", 8, where),
            length=_int(c, "max_position_embeddings", 77, where),
            act=str(c.get("hidden_act", "quick_gelu")),
            eps=_real(c, "layer_norm_eps", 1e-5, where, 0, 1),
        )


def _check(c: Config, only: Mapping[str, tuple[Any, ...]], where: str) -> None:
    for key, allowed in only.items():
        if key in c and c[key] not in allowed:
            raise ModelError(
                f"{where}: {key} is {c[key]!r}; Mezzotint serves the Stable Diffusion 1.x/2.x family only"
            )


def _int(c: Config, key: str, default: int, where: str, most: int = _WIDE) -> int:
    return _whole(c.get(key, default), key, where, most)


def _whole(value: Any, key: str, where: str, most: int = _WIDE) -> int:
    """A number that sizes something: bounded, so that a hostile config asks for nothing absurd."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ModelError(f"{where}: {key} is {value!r}; it should be a whole number from 1 to {most}")
    return value


def _real(config: Config, key: str, default: float, where: str, low: float, high: float) -> float:
    value = config.get(key, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise ModelError(f"{where}: {key} is {value!r}; it should be a number from {low:g} to {high:g}")
    return float(value)


def _ints(c: Config, key: str, default: tuple[int, ...], where: str, most: int = _WIDE) -> tuple[int, ...]:
    found = c.get(key, default)
    if not isinstance(found, list | tuple) or not 1 <= len(found) <= 8:
        raise ModelError(f"{where}: {key} is {found!r}; it should list one number a level, at most 8")
    return tuple(_whole(n, key, where, most) for n in found)


def _level_ints(
    c: Config, key: str, default: int, levels: int, where: str, most: int = _WIDE
) -> tuple[int, ...]:
    """One number for every level, given as one number for all or as a list."""
    found = c.get(key, default)
    if not isinstance(found, list | tuple):
        return (_whole(found, key, where, most),) * levels
    numbers = _ints(c, key, (), where, most)
    if len(numbers) != levels:
        raise ModelError(f"{where}: {key} has {len(numbers)} numbers for {levels} levels")
    return numbers


def _blocks(found: Any, known: Mapping[str, bool], levels: int, where: str) -> tuple[bool, ...]:
    if (
        not isinstance(found, list | tuple)
        or len(found) != levels
        or not all(isinstance(name, str) and name in known for name in found)
    ):
        raise ModelError(f"{where}: block types {found!r}; Mezzotint knows {', '.join(known)}, one a level")
    return tuple(known[name] for name in found)


def _size(c: Config, default: int, where: str) -> tuple[int, int]:
    found = c.get("sample_size")
    pair = (
        found
        if isinstance(found, list | tuple) and len(found) == 2
        else [default if found is None else found] * 2
    )
    return _whole(pair[0], "sample_size", where, _SIDE), _whole(pair[1], "sample_size", where, _SIDE)
