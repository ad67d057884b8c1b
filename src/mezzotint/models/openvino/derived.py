"""Layers with their derivatives, as OpenVINO graphs: what guidance needs of a network, in one call and without torch.

Each gives its result, and what turns a gradient `g` with respect to it into one with respect to its input.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mezzotint.models.disk.weights import Array
from mezzotint.models.openvino.layers import Node, Ops

Back = Callable[[Node], Node]


class Derived(Ops):
    """Weights are given as arrays and stay as they are."""

    def linear(self, x: Node, weight: Array, bias: Array | None = None) -> tuple[Node, Back]:
        """(..., cin) -> (..., cout); weight (cout, cin).

        The way back has a copy of its own: where one constant is read both ways and is square, OpenVINO packs it once.
        """
        back = self.constant(np.ascontiguousarray(weight.T))
        y = self.op.matmul(x, self.constant(weight), False, True)
        if bias is not None:
            y = self.op.add(y, self.constant(bias))
        return y, lambda g: self.op.matmul(g, back, False, True)

    def conv(self, x: Node, kernel: Array, bias: Array) -> tuple[Node, Back]:
        """(n, cin, h, w) -> (n, cout, h, w); kernel (cout, cin, s, s) of odd size, zeros outside."""
        mirrored = np.ascontiguousarray(kernel.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])
        y = self.op.add(self._convolve(x, kernel), self.constant(bias.reshape(1, -1, 1, 1)))
        return y, lambda g: self._convolve(g, mirrored)

    def layer_norm(self, x: Node, weight: Array, bias: Array, eps: float) -> tuple[Node, Back]:
        """(..., width), normalized over the last axis."""
        last, scale = self.ints(-1), self.constant(weight)
        z = self.op.mvn(x, last, True, eps, "INSIDE_SQRT")

        def back(g: Node) -> Node:
            h = self.op.multiply(g, scale)
            along = self.op.multiply(z, self._mean(self.op.multiply(h, z)))
            whole = self.op.subtract(self.op.subtract(h, self._mean(h)), along)
            apart = self.op.subtract(x, self._mean(x))
            spread = self.op.add(self._mean(self.op.multiply(apart, apart)), self.scalar(eps))
            return self.op.divide(whole, self.op.sqrt(spread))

        return self.op.add(self.op.multiply(z, scale), self.constant(bias)), back

    def swish(self, x: Node) -> tuple[Node, Back]:
        """SiLU, x * sigmoid(x)."""

        def back(g: Node) -> Node:
            share = self.op.sigmoid(x)
            rest = self.op.multiply(x, self.op.subtract(self.scalar(1), share))
            return self.op.multiply(g, self.op.multiply(share, self.op.add(rest, self.scalar(1))))

        return self.silu(x), back

    def gelu(self, x: Node) -> tuple[Node, Back]:
        """x * Phi(x), exact."""

        def back(g: Node) -> Node:
            below = self.op.multiply(self.scalar(0.5), self.op.erf(self._scale(x, math.sqrt(0.5))))
            density = self.op.exp(self._scale(self.op.multiply(x, x), -0.5))
            weighed = self._scale(self.op.multiply(x, density), 1 / math.sqrt(2 * math.pi))
            return self.op.multiply(g, self.op.add(self.op.add(below, self.scalar(0.5)), weighed))

        return self.op.gelu(x, "erf"), back

    def attend(self, q: Node, k: Node, v: Node) -> tuple[Node, Callable[[Node], tuple[Node, Node, Node]]]:
        """softmax(q k') v of (..., tokens, width), scaled already; its way back gives the slopes of q, k and v."""
        matmul = self.op.matmul
        share = self.op.softmax(matmul(q, k, False, True), -1)

        def back(g: Node) -> tuple[Node, Node, Node]:
            slope = self.op.multiply(share, matmul(g, v, False, True))
            total = self.op.reduce_sum(slope, self.ints(-1), True)
            slope = self.op.subtract(slope, self.op.multiply(share, total))
            return (
                matmul(slope, k, False, False),
                matmul(slope, q, True, False),
                matmul(share, g, True, False),
            )

        return matmul(share, v, False, False), back

    def _convolve(self, x: Node, kernel: Array) -> Node:
        pad = [kernel.shape[-1] // 2] * 2
        return self.op.convolution(x, self.constant(kernel), [1, 1], pad, pad, [1, 1])

    def _scale(self, x: Node, by: float) -> Node:
        return self.op.multiply(x, self.scalar(by))

    def _mean(self, x: Node) -> Node:
        return self.op.reduce_mean(x, self.ints(-1), True)
