"""Layers with derivatives written out: both are what automatic differentiation gives, also where a weight is square."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mezzotint.models.openvino.derived import Derived
from mezzotint.models.openvino.layers import load
from mezzotint.models.openvino.network import Compiled, options

RNG = np.random.default_rng(0)
SQUARE, WIDE = RNG.standard_normal((6, 6), np.float32), RNG.standard_normal((4, 6), np.float32)
KERNEL, BIAS = RNG.standard_normal((5, 3, 3, 3), np.float32), RNG.standard_normal(5).astype(np.float32)
SCALE, SHIFT = RNG.standard_normal((2, 6)).astype(np.float32)

CASES: dict[str, tuple[tuple[int, ...], Callable[..., Any], Callable[..., Tensor]]] = {
    "linear": ((2, 3, 6), lambda n, x: n.linear(x, WIDE), lambda x: F.linear(x, torch.tensor(WIDE))),
    "square": ((2, 3, 6), lambda n, x: n.linear(x, SQUARE), lambda x: F.linear(x, torch.tensor(SQUARE))),
    "conv": (
        (2, 3, 7, 5),
        lambda n, x: n.conv(x, KERNEL, BIAS),
        lambda x: F.conv2d(x, torch.tensor(KERNEL), torch.tensor(BIAS), padding=1),
    ),
    "layer norm": (
        (2, 3, 6),
        lambda n, x: n.layer_norm(x, SCALE, SHIFT, 1e-5),
        lambda x: F.layer_norm(x, [6], torch.tensor(SCALE), torch.tensor(SHIFT)),
    ),
    "swish": ((2, 9), lambda n, x: n.swish(x), F.silu),
    "gelu": ((2, 9), lambda n, x: n.gelu(x), F.gelu),
}


def run(net: Derived, outputs: list[Any], inputs: list[Any], values: list[Any]) -> list[Any]:
    graph = load().Model(outputs, inputs, "test")
    return Compiled(load().Core().compile_model(graph, "CPU", options("float32", 1)))(tuple(values))


@pytest.mark.parametrize("case", CASES)
def test_layers_and_their_way_back(case: str) -> None:
    shape, build, reference = CASES[case]
    x = torch.tensor(RNG.standard_normal(shape, np.float32)).requires_grad_()
    y = reference(x)
    g = torch.randn_like(y)
    (slope,) = torch.autograd.grad(y, x, g)
    net = Derived()
    inputs = [net.input("x", list(shape)), net.input("g", list(y.shape))]
    made, back = build(net, inputs[0])
    found = run(net, [made, back(inputs[1])], inputs, [x.detach().numpy(), g.numpy()])
    assert found[0] == pytest.approx(y.detach().numpy(), rel=1e-4, abs=1e-5)
    assert found[1] == pytest.approx(slope.numpy(), rel=1e-4, abs=1e-5)


def test_attention_and_its_way_back() -> None:
    q, k, v = (torch.randn(2, 3, tokens, 4, requires_grad=True) for tokens in (1, 5, 5))
    y = torch.softmax(q @ k.transpose(-1, -2), -1) @ v
    g = torch.randn_like(y)
    slopes = torch.autograd.grad(y, [q, k, v], g)
    net = Derived()
    inputs = [net.input(name, list(value.shape)) for name, value in zip("qkvg", (q, k, v, g), strict=True)]
    made, back = net.attend(*inputs[:3])
    found = run(net, [made, *back(inputs[3])], inputs, [value.detach().numpy() for value in (q, k, v, g)])
    for a, b in zip(found, (y, *slopes), strict=True):
        assert a == pytest.approx(b.detach().numpy(), rel=1e-4, abs=1e-5)
