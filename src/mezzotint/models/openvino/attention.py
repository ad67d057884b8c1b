"""The denoiser's graph with a second kind of output: where each of its cross-attention layers looks."""

from __future__ import annotations

from typing import Any

from mezzotint.models.disk.architecture import UNetArch
from mezzotint.models.disk.weights import Weights
from mezzotint.models.openvino.layers import Node
from mezzotint.models.openvino.silent import load
from mezzotint.models.openvino.unet import _UNet


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
