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


def build_worded_text(arch: TextArch, weights: Weights) -> Any:
    """The same of `tokens` and `rows (k, width)`: ids from the size of the vocabulary on are these rows."""
    text = _Text(arch, weights)
    tokens, rows = text.input("tokens", [-1, arch.length], "i64"), text.input("rows", [-1, arch.width])
    return text.model(text.encode(tokens, rows), [tokens, rows], "text_encoder")


class _Text(Layers):
    def __init__(self, arch: TextArch, weights: Weights) -> None:
        super().__init__(weights)
        self.arch = arch

    def encode(self, tokens: Node, rows: Node | None = None) -> Node:
        a = self.arch
        words = self.weight("embeddings.token_embedding.weight", a.vocab, a.width)
        places = self.weight("embeddings.position_embedding.weight", a.length, a.width)
        found = (
            self.op.gather(words, tokens, self.axis(0)) if rows is None else self.either(words, rows, tokens)
        )
        x = self.op.add(found, places)
        for i in range(a.layers):
            x = self.layer(x, f"encoder.layers.{i}")
        return self.layer_norm(x, "final_layer_norm", a.width, a.eps)

    def either(self, words: Node, rows: Node, tokens: Node) -> Node:
        """From the table, or from the rows behind it."""
        op, count = self.op, self.axis(self.arch.vocab)
        known = op.gather(words, op.minimum(tokens, self.axis(self.arch.vocab - 1)), self.axis(0))
        new = op.gather(rows, op.maximum(op.subtract(tokens, count), self.axis(0)), self.axis(0))
        return op.select(op.unsqueeze(op.greater_equal(tokens, count), self.axis(-1)), new, known)

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
