"""What the networks of a model may be, read from their configs.

A setting that would change the arithmetic and that Mezzotint does not follow is an error: silently other
pictures are worse than none (see `key_tables`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mezzotint.errors import ModelError
from mezzotint.models.disk.configs import MANY, Config, blocks, each_level, real, size, whole, wholes
from mezzotint.models.disk.key_tables import PIXEL_UNET, TEXT_ENCODER, UNET, VAE

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
    has_middle: bool = True  # small distilled models have none

    @classmethod
    def read(cls, c: Config, where: str) -> UNetArch:
        """From `unet/config.json`; ModelError for what is not in the family."""
        UNET.check(c, where)
        channels = wholes(c, "block_out_channels", (320, 640, 1280, 1280), where)
        n = len(channels)
        if whole(c, "in_channels", 4, where) != whole(c, "out_channels", 4, where):
            raise ModelError(
                f"{where}: in_channels differs from out_channels; inpainting and edit models are not served"
            )
        down = c.get("down_block_types", ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"])
        up = c.get("up_block_types", ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3)
        return cls(
            latent_channels=whole(c, "in_channels", 4, where),
            channels=channels,
            layers=each_level(c, "layers_per_block", 2, n, where, MANY),
            heads=each_level(c, "attention_head_dim", 8, n, where),
            depth=each_level(c, "transformer_layers_per_block", 1, n, where, MANY),
            down_attends=blocks(down, _DOWN, n, where),
            up_attends=blocks(up, _UP, n, where),
            context=whole(c, "cross_attention_dim", 1280, where),
            groups=whole(c, "norm_num_groups", 32, where),
            eps=real(c, "norm_eps", 1e-5, where, 0, 1),
            flip_sin_to_cos=bool(c.get("flip_sin_to_cos", True)),
            freq_shift=real(c, "freq_shift", 0, where, 0, max(0, channels[0] // 2 - 1)),
            sample_size=size(_fix_sample_size(c), 64, where),
            has_middle=c.get("mid_block_type", "") is not None,
        )


def _fix_sample_size(c: Config) -> Config:
    """With the correction of the stock pipeline: before diffusers 0.9 a `sample_size` below 64 means 64."""
    version, side = str(c.get("_diffusers_version", "")), c.get("sample_size")
    old = re.match(r"0\.[0-8](\.|$)", version) is not None
    return {**c, "sample_size": 64} if old and isinstance(side, int) and 0 < side < 64 else c


@dataclass(frozen=True)
class VaeArch:
    """An AutoencoderKL, widths from the largest grid to the smallest."""

    latent_channels: int
    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    layers: int
    groups: int
    scaling_factor: float
    quant_conv: bool
    post_quant_conv: bool
    force_upcast: bool  # float16 overflows in it

    @property
    def factor(self) -> int:
        """Pixels along a side for each latent."""
        return int(2 ** (len(self.channels) - 1))

    @classmethod
    def read(cls, c: Config, where: str) -> VaeArch:
        """From `vae/config.json`; ModelError for what is not in the family."""
        VAE.check(c, where)
        channels = vae_channels(c, where)
        return cls(
            latent_channels=whole(c, "latent_channels", 4, where),
            in_channels=whole(c, "in_channels", 3, where),
            out_channels=whole(c, "out_channels", 3, where),
            channels=channels,
            layers=whole(c, "layers_per_block", 1, where, MANY),
            groups=whole(c, "norm_num_groups", 32, where),
            scaling_factor=real(c, "scaling_factor", 0.18215, where, 1e-6, 1e6),
            quant_conv=bool(c.get("use_quant_conv", True)),
            post_quant_conv=bool(c.get("use_post_quant_conv", True)),
            force_upcast=bool(c.get("force_upcast", True)),
        )


def vae_channels(c: Config, where: str) -> tuple[int, ...]:
    """The widths of an autoencoder, of either kind, whose blocks are the usual ones."""
    channels = wholes(c, "block_out_channels", (64,), where)
    for key, block in (("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")):
        blocks(c.get(key, [block]), {block: False}, len(channels), where)
    return channels


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
        TEXT_ENCODER.check(c, where)
        return cls(
            vocab=whole(c, "vocab_size", 49408, where),
            width=whole(c, "hidden_size", 512, where),
            inner=whole(c, "intermediate_size", 2048, where),
            layers=whole(c, "num_hidden_layers", 12, where, MANY),
            heads=whole(c, "num_attention_heads", 8, where),
            length=whole(c, "max_position_embeddings", 77, where),
            act=str(c.get("hidden_act", "quick_gelu")),
            eps=real(c, "layer_norm_eps", 1e-5, where, 0, 1),
        )


_PIXEL_DOWN = {"DownBlock2D": False, "AttnDownBlock2D": True}
_PIXEL_UP = {"UpBlock2D": False, "AttnUpBlock2D": True}


@dataclass(frozen=True)
class PixelArch:
    """A UNet2DModel. Tuples have one value for each level, from the largest grid to the smallest."""

    colors: int  # channels of a picture: 3, or 1 of gray
    channels: tuple[int, ...]
    layers: tuple[int, ...]  # residual blocks a level on the way down; one more on the way up
    down_attends: tuple[bool, ...]
    up_attends: tuple[bool, ...]  # from the smallest grid to the largest, as the blocks are numbered
    middle_attends: bool
    head_width: int | None  # channels of an attention head; None: one head has them all
    groups: int
    eps: float
    pads_evenly: bool  # before halving the grid: on all sides; else right and bottom only
    flip_sin_to_cos: bool
    freq_shift: float
    sample_size: tuple[int, int]  # (height, width) of the pictures it was trained on

    @property
    def side_multiple(self) -> int:
        """Sides of pictures are multiples of this: every level but the last halves the grid exactly."""
        return int(2 ** (len(self.channels) - 1))

    def heads(self, channels: int) -> int:
        """Heads of an attention over so many channels; ModelError where they do not divide."""
        width = self.head_width or channels
        if channels % width:
            raise ModelError(f"an attention of width {channels} does not divide into heads {width} wide")
        return channels // width

    @classmethod
    def read(cls, c: Config, where: str) -> PixelArch:
        """From the `config.json` of a UNet2DModel; ModelError for what is not in the family."""
        PIXEL_UNET.check(c, where)
        colors = _colors(c, where)
        channels = wholes(c, "block_out_channels", (224, 448, 672, 896), where)
        n, groups = len(channels), whole(c, "norm_num_groups", 32, where)
        if c.get("attn_norm_num_groups") not in (None, groups):
            raise ModelError(
                f"{where}: attn_norm_num_groups is {c['attn_norm_num_groups']!r}, not norm_num_groups"
            )
        down = ["DownBlock2D"] + ["AttnDownBlock2D"] * 3
        up = ["AttnUpBlock2D"] * 3 + ["UpBlock2D"]
        one_head = c.get("attention_head_dim", 8) is None
        arch = cls(
            colors=colors,
            channels=channels,
            layers=(whole(c, "layers_per_block", 2, where, MANY),) * n,
            down_attends=blocks(c.get("down_block_types", down), _PIXEL_DOWN, n, where),
            up_attends=blocks(c.get("up_block_types", up), _PIXEL_UP, n, where),
            middle_attends=c.get("add_attention", True),
            head_width=None if one_head else whole(c, "attention_head_dim", 8, where),
            groups=groups,
            eps=real(c, "norm_eps", 1e-5, where, 0, 1),
            pads_evenly=c.get("downsample_padding", 1) == 1,
            flip_sin_to_cos=bool(c.get("flip_sin_to_cos", True)),
            freq_shift=real(c, "freq_shift", 0, where, 0, max(0, channels[0] // 2 - 1)),
            sample_size=size(c, 64, where),
        )
        if any(side % arch.side_multiple for side in arch.sample_size):
            raise ModelError(
                f"{where}: sample_size is not divisible by {arch.side_multiple}, as {n} levels ask"
            )
        return arch


def _colors(c: Config, where: str) -> int:
    """The channels of a picture."""
    colors, out = whole(c, "in_channels", 3, where), whole(c, "out_channels", 3, where)
    if out == 2 * colors:
        raise ModelError(
            f"{where}: out_channels is {out}, of a model that learned its variance, which is not read"
        )
    if colors not in (1, 3):
        raise ModelError(f"{where}: in_channels is {colors}; pictures have 3 channels, or 1 of gray")
    if out != colors:
        raise ModelError(f"{where}: out_channels is {out} and in_channels {colors}; they must be the same")
    return colors
