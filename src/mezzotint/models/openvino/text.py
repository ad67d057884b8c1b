"""CLIPTextModel as an OpenVINO graph; Radford et al. 2021 (2103.00020)."""

from __future__ import annotations

from typing import Any

from mezzotint.models.disk.architecture import TextArch
from mezzotint.models.disk.weights import Weights
from mezzotint.models.openvino.layers import Layers, Node


def build_text(arch: TextArch, weights: Weights) -> Any:
    """The graph `tokens (n, length) int64 -> (n, length, width)`, the states after the final norm."""
    text = _Text(arch, weights)
    tokens = text.input("tokens", [-1, arch.length], "i64")
    return text.model(text.encode(tokens), [tokens], "text_encoder")


class _Text(Layers):
    def __init__(self, arch: TextArch, weights: Weights) -> None:
        super().__init__(weights)
        self.arch = arch

    def encode(self, tokens: Node) -> Node:
        a = self.arch
        words = self.weight("embeddings.token_embedding.weight", a.vocab, a.width)
        places = self.weight("embeddings.position_embedding.weight", a.length, a.width)
        x = self.op.add(self.op.gather(words, tokens, self.axis(0)), places)
        for i in range(a.layers):
            x = self.layer(x, f"encoder.layers.{i}")
        return self.layer_norm(x, "final_layer_norm", a.width, a.eps)

    def layer(self, x: Node, name: str) -> Node:
        a = self.arch
        y = self.layer_norm(x, f"{name}.layer_norm1", a.width, a.eps)
        q, k, v = (self.linear(y, f"{name}.self_attn.{letter}_proj", a.width, a.width) for letter in "qkv")
        y = self.attend(q, k, v, a.width, a.heads, causal=True)
        x = self.op.add(x, self.linear(y, f"{name}.self_attn.out_proj", a.width, a.width))
        y = self.layer_norm(x, f"{name}.layer_norm2", a.width, a.eps)
        y = self.activate(self.linear(y, f"{name}.mlp.fc1", a.width, a.inner))
        return self.op.add(x, self.linear(y, f"{name}.mlp.fc2", a.inner, a.width))

    def activate(self, x: Node) -> Node:
        """`quick_gelu` is x * sigmoid(1.702 x), a swish."""
        return (
            self.op.swish(x, self.scalar(1.702)) if self.arch.act == "quick_gelu" else self.op.gelu(x, "erf")
        )
