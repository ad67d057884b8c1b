"""UNet2DConditionModel of the Stable Diffusion 1.x/2.x family as an OpenVINO graph, for any rows and size."""

from __future__ import annotations

from typing import Any

from mezzotint.models.disk.architecture import UNetArch
from mezzotint.models.disk.weights import Weights
from mezzotint.models.openvino.layers import Node
from mezzotint.models.openvino.ushape import UShape


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
