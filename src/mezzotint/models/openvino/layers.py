"""The layers that the networks share, as OpenVINO graphs built from stored weights.

Built by hand rather than traced from torch: it takes a second where tracing takes half a minute, needs
neither torch nor diffusers, and has no shape frozen in it by accident. Names and arithmetic are those of
diffusers, which the tests compare with. Nodes are `Any`: OpenVINO's operators are typed so.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import numpy as np

from mezzotint.errors import ModelError
from mezzotint.models.disk.weights import Array, Weights

_HIDDEN = ("openvino_telemetry", "openvino.tools.ovc")


def load() -> Any:
    """The `openvino` module; ImportError where it is not installed."""
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    hidden = [name for name in _HIDDEN if name not in sys.modules]
    blocked: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    blocked.update(dict.fromkeys(hidden))  # None: an import of the name raises ImportError
    try:
        return importlib.import_module("openvino")
    finally:
        for name in hidden:
            del sys.modules[name]


Node = Any


class Ops:
    """OpenVINO's operators, and the nodes that every graph is made of."""

    def __init__(self) -> None:
        self.op: Any = load().opset13

    def constant(self, value: Array) -> Node:
        """Values as a float32 node."""
        node = self.op.constant(np.ascontiguousarray(value), shared_memory=True)
        return node if value.dtype == np.float32 else self.op.convert(node, "f32")

    def silu(self, x: Node) -> Node:
        """x * sigmoid(x)."""
        return self.op.swish(x)

    def reshape(self, x: Node, shape: Node) -> Node:
        """A new shape; 0 keeps a dimension, -1 takes the rest."""
        return self.op.reshape(x, shape, True)

    def ints(self, *values: int) -> Node:
        """Whole numbers as a node: axes, shapes."""
        return self.op.constant(np.array(values, np.int64))

    def axis(self, value: int) -> Node:
        """One whole number as a node: an axis."""
        return self.op.constant(np.int64(value))

    def scalar(self, value: float) -> Node:
        """One number as a node."""
        return self.op.constant(np.float32(value))

    def input(self, name: str, shape: list[int], kind: str = "f32") -> Node:
        """An input; -1 where a dimension is set later."""
        node = self.op.parameter(shape, getattr(load().Type, kind), name)
        node.output(0).set_names({name})
        return node

    def model(self, result: Node, inputs: list[Node], name: str) -> Any:
        """The finished graph."""
        return load().Model([result], inputs, name)


class Layers(Ops):
    """Layers over named weights. `name` is the layer's place in the network, as diffusers names it."""

    def __init__(self, weights: Weights, groups: int = 32, eps: float = 1e-5) -> None:
        super().__init__()
        self.weights = weights
        self.groups = groups
        self.eps = eps

    def weight(self, name: str, *shape: int) -> Node:
        """A stored weight; float16 stays float16 on disk."""
        return self.constant(self.weights.take(name, shape))

    def conv(
        self,
        x: Node,
        name: str,
        cin: int,
        cout: int,
        size: int = 3,
        stride: int = 1,
        pad: tuple[int, int] | None = None,
    ) -> Node:
        """(n, cin, h, w) -> (n, cout, h, w). `pad` of zeros before and after; else as keeps the size at stride 1."""
        before, after = pad or (size // 2, size // 2)
        kernel = self.weight(f"{name}.weight", cout, cin, size, size)
        y = self.op.convolution(x, kernel, [stride] * 2, [before] * 2, [after] * 2, [1, 1])
        bias = self.weights.take(f"{name}.bias", (cout,)).reshape(1, cout, 1, 1)
        return self.op.add(y, self.constant(bias))

    def linear(self, x: Node, name: str, cin: int, cout: int, bias: bool = True) -> Node:
        """(..., cin) -> (..., cout)."""
        y = self.op.matmul(x, self.weight(f"{name}.weight", cout, cin), False, True)
        return self.op.add(y, self.weight(f"{name}.bias", cout)) if bias else y

    def group_norm(self, x: Node, name: str, channels: int, eps: float | None = None) -> Node:
        """(n, channels, h, w), normalized in groups of channels."""
        if channels % self.groups:
            raise ModelError(f"{name}: {channels} channels do not divide into {self.groups} groups")
        scale, bias = self.weight(f"{name}.weight", channels), self.weight(f"{name}.bias", channels)
        return self.op.group_normalization(x, scale, bias, self.groups, self.eps if eps is None else eps)

    def layer_norm(self, x: Node, name: str, width: int, eps: float = 1e-5) -> Node:
        """(..., width), normalized over the last axis."""
        y = self.op.mvn(x, self.ints(-1), True, eps, "INSIDE_SQRT")
        y = self.op.multiply(y, self.weight(f"{name}.weight", width))
        return self.op.add(y, self.weight(f"{name}.bias", width))

    def attend(self, q: Node, k: Node, v: Node, width: int, heads: int, causal: bool = False) -> Node:
        """(n, tokens, width) queries over (n, m, width) keys and values -> (n, tokens, width)."""
        if width % heads:
            raise ModelError(f"an attention of width {width} does not divide into {heads} heads")
        split = self.ints(0, -1, heads, width // heads)
        q, k, v = (self.op.transpose(self.reshape(y, split), self.ints(0, 2, 1, 3)) for y in (q, k, v))
        y = self.op.scaled_dot_product_attention(q, k, v, causal=causal)
        return self.reshape(self.op.transpose(y, self.ints(0, 2, 1, 3)), self.ints(0, -1, width))

    def attend_grid(self, x: Node, name: str, c: int, heads: int) -> Node:
        """(n, c, h, w): attention of the grid to itself, beside which it passes unchanged."""
        y = self.to_tokens(self.group_norm(x, f"{name}.group_norm", c))
        q, k, v = (self.linear(y, f"{name}.to_{letter}", c, c) for letter in "qkv")
        y = self.linear(self.attend(q, k, v, c, heads), f"{name}.to_out.0", c, c)
        return self.op.add(x, self.to_grid(y, x))

    def to_tokens(self, x: Node) -> Node:
        """(n, c, h, w) -> (n, h*w, c)."""
        return self.op.transpose(self.reshape(x, self.ints(0, 0, -1)), self.ints(0, 2, 1))

    def to_grid(self, tokens: Node, like: Node) -> Node:
        """(n, h*w, c) -> the shape of `like`, (n, c, h, w)."""
        return self.reshape(self.op.transpose(tokens, self.ints(0, 2, 1)), self.op.shape_of(like))
