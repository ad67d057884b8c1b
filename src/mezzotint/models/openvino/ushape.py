"""What the denoisers have in common as OpenVINO graphs: a U of residual blocks that are told the time."""

from __future__ import annotations

import math

import numpy as np

from mezzotint.models.disk.architecture import UNetArch
from mezzotint.models.disk.architecture_pixel import PixelArch
from mezzotint.models.disk.weights import Weights
from mezzotint.models.openvino.layers import Layers, Node
from mezzotint.models.runtime import Floats

Arch = UNetArch | PixelArch


def time_features(arch: Arch, timestep: Floats) -> Floats:
    """(n,) training timesteps -> (n, channels[0]) cosines and sines; Vaswani et al. 2017, section 3.5."""
    half = arch.channels[0] // 2
    rate = np.exp(-math.log(10000) * np.arange(half, dtype=np.float32) / np.float32(half - arch.freq_shift))
    angle = timestep.astype(np.float32)[:, None] * rate.astype(np.float32)
    first, second = (np.cos, np.sin) if arch.flip_sin_to_cos else (np.sin, np.cos)
    return np.concatenate([first(angle), second(angle)], axis=1).astype(np.float32)


class UShape(Layers):
    """Down to the smallest grid, through the middle, and up again. Kinds differ in how they attend.

    `time` is `time_features` of the timesteps: bfloat16 has no 951, so the angles are taken before the graph.
    """

    middle_attends = True

    def __init__(self, arch: Arch, weights: Weights) -> None:
        super().__init__(weights, arch.groups, arch.eps)
        self.levels = arch
        self.time_width = 4 * arch.channels[0]
        self.time: Node = None  # (n, time_width), through its last silu

    def attention_layer(self, x: Node, name: str, level: int) -> Node:
        """An attention layer on the grid of a level."""
        raise NotImplementedError

    def ushape(self, x: Node, time: Node, channels: int) -> Node:
        """(n, channels, h, w) and (n, channels[0]) -> (n, channels, h, w)."""
        first = self.levels.channels[0]
        time = self.silu(self.linear(time, "time_embedding.linear_1", first, self.time_width))
        self.time = self.silu(self.linear(time, "time_embedding.linear_2", self.time_width, self.time_width))
        x, skips = self.down(self.conv(x, "conv_in", channels, first))
        x = self.up(self.middle(x), skips)
        x = self.silu(self.group_norm(x, "conv_norm_out", first))
        return self.conv(x, "conv_out", first, channels)

    def down(self, x: Node) -> tuple[Node, list[tuple[Node, int]]]:
        """To the smallest grid; every state on the way is kept with its channels, for the way up."""
        a, cin = self.levels, self.levels.channels[0]
        skips = [(x, cin)]
        for i, c in enumerate(a.channels):
            block = f"down_blocks.{i}"
            for j in range(a.layers[i]):
                x = self.resnet(x, f"{block}.resnets.{j}", cin if j == 0 else c, c)
                if a.down_attends[i]:
                    x = self.attention_layer(x, f"{block}.attentions.{j}", i)
                skips.append((x, c))
            if i < len(a.channels) - 1:
                x = self.halve(x, f"{block}.downsamplers.0.conv", c)
                skips.append((x, c))
            cin = c
        return x, skips

    def middle(self, x: Node) -> Node:
        """The blocks between the two ways, on the smallest grid."""
        c = self.levels.channels[-1]
        x = self.resnet(x, "mid_block.resnets.0", c, c)
        if self.middle_attends:
            x = self.attention_layer(x, "mid_block.attentions.0", len(self.levels.channels) - 1)
        return self.resnet(x, "mid_block.resnets.1", c, c)

    def up(self, x: Node, skips: list[tuple[Node, int]]) -> Node:
        """Back to the largest grid; each residual block reads one kept state beside its input."""
        a, cin = self.levels, self.levels.channels[-1]
        for i, c in enumerate(reversed(a.channels)):
            block, level = f"up_blocks.{i}", len(a.channels) - 1 - i
            for j in range(a.layers[level] + 1):
                skip, extra = skips.pop()
                x = self.resnet(self.op.concat([x, skip], 1), f"{block}.resnets.{j}", cin + extra, c)
                if a.up_attends[i]:
                    x = self.attention_layer(x, f"{block}.attentions.{j}", level)
                cin = c
            if level:
                x = self.conv(self.grow(x, skips[-1][0]), f"{block}.upsamplers.0.conv", c, c)
        return x

    def resnet(self, x: Node, name: str, cin: int, cout: int) -> Node:
        y = self.conv(self.silu(self.group_norm(x, f"{name}.norm1", cin)), f"{name}.conv1", cin, cout)
        time = self.linear(self.time, f"{name}.time_emb_proj", self.time_width, cout)
        y = self.op.add(y, self.op.unsqueeze(time, self.ints(2, 3)))
        y = self.conv(self.silu(self.group_norm(y, f"{name}.norm2", cout)), f"{name}.conv2", cout, cout)
        return self.op.add(x if cin == cout else self.conv(x, f"{name}.conv_shortcut", cin, cout, 1), y)

    def halve(self, x: Node, name: str, c: int) -> Node:
        """To the grid of the next level."""
        return self.conv(x, name, c, c, stride=2)

    def grow(self, x: Node, like: Node) -> Node:
        """Nearest neighbor to the grid of `like`: twice the size, or one less where halving rounded up."""
        size = self.op.gather(self.op.shape_of(like), self.ints(2, 3), self.ints(0))
        return self.op.interpolate(
            x,
            size,
            "nearest",
            "sizes",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
            axes=self.ints(2, 3),
        )
