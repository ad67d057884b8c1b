"""The denoisers as OpenVINO graphs, for any rows and size: UNet2DConditionModel and UNet2DModel of diffusers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mezzotint.models.disk.architecture import PixelArch, UNetArch
from mezzotint.models.disk.weights import Weights
from mezzotint.models.openvino.layers import Layers, Node, load
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


def build_unet(arch: UNetArch, weights: Weights) -> Any:
    """The graph `x (n, c, h, w), time (n, channels[0]), text (n, tokens, width) -> (n, c, h, w)`.

    `time` is `time_features` of the timesteps.
    """
    unet = _UNet(arch, weights)
    x = unet.input("x", [-1, arch.latent_channels, -1, -1])
    time = unet.input("time", [-1, arch.channels[0]])
    text = unet.input("text", [-1, -1, arch.context])
    return unet.model(unet.predict(x, time, text), [x, time, text], "unet")


class _UNet(UShape):
    def __init__(self, arch: UNetArch, weights: Weights) -> None:
        super().__init__(arch, weights)
        self.arch = arch
        self.text: Node = None

    def predict(self, x: Node, time: Node, text: Node) -> Node:
        self.text = text
        return self.ushape(x, time, self.arch.latent_channels)

    def middle(self, x: Node) -> Node:
        return super().middle(x) if self.arch.has_middle else x

    def attention_layer(self, x: Node, name: str, level: int) -> Node:
        a = self.arch
        return self.transformer(x, name, a.channels[level], a.heads[level], a.depth[level])

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


def build_pixel_unet(arch: PixelArch, weights: Weights) -> Any:
    """The graph `x (n, c, h, w), time (n, channels[0]) -> (n, c, h, w)`; `time` is of `time_features`."""
    unet = _PixelUNet(arch, weights)
    x = unet.input("x", [-1, arch.colors, -1, -1])
    time = unet.input("time", [-1, arch.channels[0]])
    return unet.model(unet.ushape(x, time, arch.colors), [x, time], "unet")


class _PixelUNet(UShape):
    def __init__(self, arch: PixelArch, weights: Weights) -> None:
        super().__init__(arch, weights)
        self.arch = arch
        self.middle_attends = arch.middle_attends

    def attention_layer(self, x: Node, name: str, level: int) -> Node:
        c = self.arch.channels[level]
        return self.attend_grid(x, name, c, self.arch.heads(c))

    def halve(self, x: Node, name: str, c: int) -> Node:
        """Older networks pad on the right and at the bottom alone."""
        pad = None if self.arch.pads_evenly else (0, 1)
        return self.conv(x, name, c, c, stride=2, pad=pad)


def build_attending_unet(arch: UNetArch, weights: Weights) -> Any:
    """As `build_unet`, with an output (n, h*w, tokens) after the first for every cross-attention layer.

    The softmax is computed beside the fused attention, not in its place: so the first output keeps its bits.
    """
    unet = _AttendingUNet(arch, weights)
    x = unet.input("x", [-1, arch.latent_channels, -1, -1])
    time = unet.input("time", [-1, arch.channels[0]])
    text = unet.input("text", [-1, -1, arch.context])
    out = unet.predict(x, time, text)
    return load().Model([out, *unet.maps], [x, time, text], "unet")


class _AttendingUNet(_UNet):
    def __init__(self, arch: UNetArch, weights: Weights) -> None:
        super().__init__(arch, weights)
        self.maps: list[Node] = []  # in the network's order

    def attention(self, x: Node, seen: Node, name: str, c: int, width: int, heads: int) -> Node:
        if seen is not self.text:
            return super().attention(x, seen, name, c, width, heads)
        q = self.linear(x, f"{name}.to_q", c, c, bias=False)
        k = self.linear(seen, f"{name}.to_k", width, c, bias=False)
        v = self.linear(seen, f"{name}.to_v", width, c, bias=False)
        self.maps.append(self.looks(q, k, c, heads))
        return self.linear(self.attend(q, k, v, c, heads), f"{name}.to_out.0", c, c)

    def looks(self, q: Node, k: Node, width: int, heads: int) -> Node:
        """(n, h*w, width) queries, (n, tokens, width) keys -> (n, h*w, tokens) softmax, mean over heads."""
        split = self.ints(0, -1, heads, width // heads)
        q, k = (self.op.transpose(self.reshape(y, split), self.ints(0, 2, 1, 3)) for y in (q, k))
        scores = self.op.matmul(self.op.multiply(q, self.scalar((width // heads) ** -0.5)), k, False, True)
        return self.op.reduce_mean(self.op.softmax(scores, -1), self.ints(1), False)
