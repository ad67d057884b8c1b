"""UNet2DConditionModel of the Stable Diffusion 1.x/2.x family as an OpenVINO graph, for any rows and size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mezzotint.models.architecture import UNetArch
from mezzotint.models.graph import Layers, Node
from mezzotint.models.runtime import Floats
from mezzotint.models.weights import Weights


def build_unet(arch: UNetArch, weights: Weights) -> Any:
    """The graph `x (n, c, h, w), time (n, channels[0]), text (n, tokens, width) -> (n, c, h, w)`.

    `time` is `time_features` of the timesteps: bfloat16 has no 951, so the angles are taken before the graph.
    """
    unet = _UNet(arch, weights)
    x = unet.input("x", [-1, arch.latent_channels, -1, -1])
    time = unet.input("time", [-1, arch.channels[0]])
    text = unet.input("text", [-1, -1, arch.context])
    return unet.model(unet.predict(x, time, text), [x, time, text], "unet")


def time_features(arch: UNetArch, timestep: Floats) -> Floats:
    """(n,) training timesteps -> (n, channels[0]) cosines and sines; Vaswani et al. 2017, section 3.5."""
    half = arch.channels[0] // 2
    rate = np.exp(-math.log(10000) * np.arange(half, dtype=np.float32) / np.float32(half - arch.freq_shift))
    angle = timestep.astype(np.float32)[:, None] * rate.astype(np.float32)
    first, second = (np.cos, np.sin) if arch.flip_sin_to_cos else (np.sin, np.cos)
    return np.concatenate([first(angle), second(angle)], axis=1).astype(np.float32)


class _UNet(Layers):
    def __init__(self, arch: UNetArch, weights: Weights) -> None:
        super().__init__(weights, arch.groups, arch.eps)
        self.arch = arch
        self.time_width = 4 * arch.channels[0]
        self.time: Node = None  # (n, time_width), through its last silu
        self.text: Node = None

    def predict(self, x: Node, time: Node, text: Node) -> Node:
        a, first = self.arch, self.arch.channels[0]
        time = self.silu(self.linear(time, "time_embedding.linear_1", first, self.time_width))
        self.time = self.silu(self.linear(time, "time_embedding.linear_2", self.time_width, self.time_width))
        self.text = text
        x = self.conv(x, "conv_in", a.latent_channels, first)
        x, skips = self.down(x)
        x = self.middle(x)
        x = self.up(x, skips)
        x = self.silu(self.group_norm(x, "conv_norm_out", first))
        return self.conv(x, "conv_out", first, a.latent_channels)

    def down(self, x: Node) -> tuple[Node, list[tuple[Node, int]]]:
        """To the smallest grid; every state on the way is kept with its channels, for the way up."""
        a, cin = self.arch, self.arch.channels[0]
        skips = [(x, cin)]
        for i, c in enumerate(a.channels):
            block = f"down_blocks.{i}"
            for j in range(a.layers[i]):
                x = self.resnet(x, f"{block}.resnets.{j}", cin if j == 0 else c, c)
                if a.down_attends[i]:
                    x = self.transformer(x, f"{block}.attentions.{j}", c, a.heads[i], a.depth[i])
                skips.append((x, c))
            if i < len(a.channels) - 1:
                x = self.conv(x, f"{block}.downsamplers.0.conv", c, c, stride=2)
                skips.append((x, c))
            cin = c
        return x, skips

    def middle(self, x: Node) -> Node:
        c = self.arch.channels[-1]
        x = self.resnet(x, "mid_block.resnets.0", c, c)
        x = self.transformer(x, "mid_block.attentions.0", c, self.arch.heads[-1], self.arch.depth[-1])
        return self.resnet(x, "mid_block.resnets.1", c, c)

    def up(self, x: Node, skips: list[tuple[Node, int]]) -> Node:
        """Back to the largest grid; each residual block reads one kept state beside its input."""
        a, cin = self.arch, self.arch.channels[-1]
        for i, c in enumerate(reversed(a.channels)):
            block, level = f"up_blocks.{i}", len(a.channels) - 1 - i
            for j in range(a.layers[level] + 1):
                skip, extra = skips.pop()
                x = self.resnet(self.op.concat([x, skip], 1), f"{block}.resnets.{j}", cin + extra, c)
                if a.up_attends[i]:
                    x = self.transformer(x, f"{block}.attentions.{j}", c, a.heads[level], a.depth[level])
                cin = c
            if level:
                x = self.conv(self.grow(x, skips[-1][0]), f"{block}.upsamplers.0.conv", c, c)
        return x

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

    def resnet(self, x: Node, name: str, cin: int, cout: int) -> Node:
        y = self.conv(self.silu(self.group_norm(x, f"{name}.norm1", cin)), f"{name}.conv1", cin, cout)
        time = self.linear(self.time, f"{name}.time_emb_proj", self.time_width, cout)
        y = self.op.add(y, self.op.unsqueeze(time, self.ints(2, 3)))
        y = self.conv(self.silu(self.group_norm(y, f"{name}.norm2", cout)), f"{name}.conv2", cout, cout)
        return self.op.add(x if cin == cout else self.conv(x, f"{name}.conv_shortcut", cin, cout, 1), y)

    def transformer(self, x: Node, name: str, c: int, heads: int, depth: int) -> Node:
        y = self.group_norm(x, f"{name}.norm", c, eps=1e-6)
        y = self.linear(self.to_tokens(y), f"{name}.proj_in", c, c)  # a 1x1 convolution is the same sum
        for k in range(depth):
            y = self.block(y, f"{name}.transformer_blocks.{k}", c, heads)
        return self.op.add(x, self.to_grid(self.linear(y, f"{name}.proj_out", c, c), x))

    def block(self, y: Node, name: str, c: int, heads: int) -> Node:
        normed = self.layer_norm(y, f"{name}.norm1", c)
        y = self.op.add(y, self.attention(normed, normed, f"{name}.attn1", c, c, heads))
        normed = self.layer_norm(y, f"{name}.norm2", c)
        y = self.op.add(y, self.attention(normed, self.text, f"{name}.attn2", c, self.arch.context, heads))
        return self.op.add(y, self.feed_forward(self.layer_norm(y, f"{name}.norm3", c), f"{name}.ff.net", c))

    def attention(self, x: Node, seen: Node, name: str, c: int, width: int, heads: int) -> Node:
        q = self.linear(x, f"{name}.to_q", c, c, bias=False)
        k = self.linear(seen, f"{name}.to_k", width, c, bias=False)
        v = self.linear(seen, f"{name}.to_v", width, c, bias=False)
        return self.linear(self.attend(q, k, v, c, heads), f"{name}.to_out.0", c, c)

    def feed_forward(self, x: Node, name: str, c: int) -> Node:
        """GEGLU: half of the first layer gates the other half (Shazeer 2020, 2002.05202)."""
        both = self.op.split(self.linear(x, f"{name}.0.proj", c, 8 * c), self.axis(-1), 2)
        gated = self.op.multiply(both.output(0), self.op.gelu(both.output(1), "erf"))
        return self.linear(gated, f"{name}.2", 4 * c, c)
