"""What a network that denoises pixels without a prompt may be, read from its config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mezzotint.errors import ModelError
from mezzotint.models.disk.configs import MANY, Config, allow, blocks, real, size, whole, wholes

_FAMILY = "DDPM"
_ONLY: dict[str, tuple[Any, ...]] = {
    "in_channels": (3,),
    "out_channels": (3,),
    "center_input_sample": (False,),
    "time_embedding_type": ("positional",),
    "time_embedding_dim": (None,),
    "mid_block_type": ("UNetMidBlock2D",),
    "mid_block_scale_factor": (1,),
    "downsample_padding": (0, 1),
    "downsample_type": ("conv",),
    "upsample_type": ("conv",),
    "act_fn": ("silu",),
    "resnet_time_scale_shift": ("default",),
    "add_attention": (True, False),
    "class_embed_type": (None,),
    "num_class_embeds": (None,),
}
_DOWN = {"DownBlock2D": False, "AttnDownBlock2D": True}
_UP = {"UpBlock2D": False, "AttnUpBlock2D": True}


@dataclass(frozen=True)
class PixelArch:
    """A UNet2DModel. Tuples have one value for each level, from the largest grid to the smallest."""

    colors = 3

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
        allow(c, _ONLY, where, _FAMILY)
        channels = wholes(c, "block_out_channels", (224, 448, 672, 896), where)
        n, groups = len(channels), whole(c, "norm_num_groups", 32, where)
        allow(c, {"attn_norm_num_groups": (None, groups)}, where, _FAMILY)
        down = ["DownBlock2D"] + ["AttnDownBlock2D"] * 3
        up = ["AttnUpBlock2D"] * 3 + ["UpBlock2D"]
        one_head = c.get("attention_head_dim", 8) is None
        arch = cls(
            channels=channels,
            layers=(whole(c, "layers_per_block", 2, where, MANY),) * n,
            down_attends=blocks(c.get("down_block_types", down), _DOWN, n, where),
            up_attends=blocks(c.get("up_block_types", up), _UP, n, where),
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
