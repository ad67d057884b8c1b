"""The loss of a term and its gradient as one OpenVINO graph, from latents back to latents.

It computes what `loss_decoders`, `cutting`, `image_tower` and `losses` compute with torch. At the few cutouts of a
step torch takes twice the time on a CPU, and competes with the denoiser for threads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from mezzotint.guidance.terms import Of
from mezzotint.models.disk.weights import Array
from mezzotint.models.openvino.derived import Back, Derived
from mezzotint.models.openvino.layers import Node, load
from mezzotint.models.steering.image_tower import ImageTower, TowerLayer, TowerNorm
from mezzotint.models.steering.loss_decoders import GraphDecoder


class CallShape(NamedTuple):
    """Of a call."""

    seen: tuple[int, int, int, int]  # (n, c, h, w) of what is decoded
    picture: tuple[int, int]  # (H, W)
    pieces: int = 0  # of each picture


def build_clip_graph(graph_decoder: GraphDecoder, vision: ImageTower, size: int, shape: CallShape) -> Any:
    """The graph `seen (n, c, h, w), rows (n, k*size, H), columns (n*k, size, W), targets (n*k, d)
    -> features (n*k, d), gradient (n, c, h, w)` of the mean over each picture's pieces."""
    net = _ClipGraph(vision, size, shape)
    n, k, (height, width) = shape.seen[0], shape.pieces, shape.picture
    seen, rows, columns, targets = inputs = [
        net.input("seen", list(shape.seen)),
        net.input("rows", [n, k * size, height]),
        net.input("columns", [n * k, size, width]),
        net.input("targets", [n * k, vision.out.shape[0]]),
    ]
    pictures, back = graph_decoder(net, seen)
    patches, uncut = net.cutouts(pictures, rows, columns)
    features, unseen = net.look(patches)
    gradient = back(uncut(unseen(net.spherical(features, targets))))
    return load().Model([features, gradient], inputs, "sight")


def build_color_graph(graph_decoder: GraphDecoder, of: Of, shape: CallShape) -> Any:
    """The graph `seen (n, c, h, w), colors (n, 3, 1, 1) in -1..1 -> loss (n,), gradient (n, c, h, w)`.

    As `color_loss`, with the gradient of a sum over pixels, or as `mean_color_loss`.
    """
    net = Derived()
    inputs = [net.input("seen", list(shape.seen)), net.input("colors", [shape.seen[0], 3, 1, 1])]
    pictures, back = graph_decoder(net, inputs[0])
    if of == "mean":
        left = net.op.subtract(net.op.reduce_mean(pictures, net.ints(2, 3), True), inputs[1])
        squares = net.op.reduce_sum(net.op.multiply(left, left), net.ints(1, 2, 3), False)
        loss, slope = (
            net.op.multiply(squares, net.scalar(0.5)),
            net.op.broadcast(left, net.op.shape_of(pictures)),
        )
    else:
        error = net.op.subtract(pictures, inputs[1])
        loss, slope = net.op.reduce_mean(net.op.abs(error), net.ints(1, 2, 3), False), net.op.sign(error)
    return load().Model([loss, back(slope)], inputs, "color")


class _ClipGraph(Derived):
    def __init__(self, vision: ImageTower, size: int, shape: CallShape) -> None:
        super().__init__()
        self.vision, self.size, self.shape = vision, size, shape
        self.across = size // vision.patch
        self.tokens = self.across**2 + 1

    def cutouts(self, pictures: Node, rows: Node, columns: Node) -> tuple[Node, Back]:
        """Pictures to the patches of their pieces, (n*k, across^2, 3*patch^2)."""
        n, k, (height, width) = self.shape.seen[0], self.shape.pieces, self.shape.picture
        size, patch, across = self.size, self.vision.patch, self.across
        half = self.scalar(0.5)
        seen = self.op.clamp(self.op.add(self.op.multiply(pictures, half), half), 0.0, 1.0)
        flat = self.reshape(self.transpose(seen, 0, 2, 1, 3), self.ints(n, height, 3 * width))
        lines = self.reshape(self.op.matmul(rows, flat, False, False), self.ints(n * k, size * 3, width))
        square = self.op.matmul(lines, columns, False, True)
        split = self.reshape(square, self.ints(n * k, across, patch, 3, across, patch))
        patches = self.reshape(self.transpose(split, 0, 1, 4, 3, 2, 5), self.ints(n * k, across**2, -1))

        def back(g: Node) -> Node:
            split = self.reshape(g, self.ints(n * k, across, across, 3, patch, patch))
            square = self.reshape(self.transpose(split, 0, 1, 4, 3, 2, 5), self.ints(n * k, size * 3, size))
            lines = self.reshape(
                self.op.matmul(square, columns, False, False), self.ints(n, k * size, 3 * width)
            )
            flat = self.reshape(self.op.matmul(rows, lines, True, False), self.ints(n, height, 3, width))
            inside = self.op.convert(self.op.less_equal(self.op.abs(pictures), self.scalar(1.0)), "f32")
            return self.op.multiply(self.transpose(flat, 0, 2, 1, 3), self.op.multiply(inside, half))

        return patches, back

    def look(self, patches: Node) -> tuple[Node, Back]:
        """(m, across^2, 3*patch^2) -> features (m, d)."""
        v, m = self.vision, self.shape.seen[0] * self.shape.pieces
        y, embedded = self.linear(patches, _array(v.embed))
        y = self.op.add(y, self.constant(_array(v.places)))
        first = self.op.broadcast(self.constant(_array(v.first)), self.ints(m, 1, v.first.shape[-1]))
        y, before = self.norm(self.op.concat([first, y], 1), v.before)
        backs = []
        for i, layer in enumerate(v.layers):
            y, back = self.layer(y, layer, 1 if i == len(v.layers) - 1 else self.tokens)
            backs.append(back)
        y, after = self.norm(y, v.after)
        found, projected = self.linear(self.reshape(y, self.ints(m, -1)), _array(v.out))

        def whole(g: Node) -> Node:
            g = after(self.op.unsqueeze(projected(g), self.ints(1)))
            for back in reversed(backs):
                g = back(g)
            return embedded(self.part(before(g), 1, self.tokens))

        return found, whole

    def layer(self, y: Node, layer: TowerLayer, count: int) -> tuple[Node, Back]:
        """(m, tokens, d) -> the first `count` tokens, (m, count, d)."""
        z, norm1 = self.norm(y, layer.norm1)
        found, attended = self.attention(z, layer, count)
        found, written = self.linear(found, *map(_array, layer.write))
        y = self.op.add(found, self.part(y, 0, count))
        z, norm2 = self.norm(y, layer.norm2)
        wide, widened = self.linear(z, *map(_array, layer.widen))
        bent, unbent = self.swish(wide) if layer.quick else self.gelu(wide)
        end, narrowed = self.linear(bent, *map(_array, layer.narrow))

        def back(g: Node) -> Node:
            g = self.op.add(norm2(widened(unbent(narrowed(g)))), g)
            return self.op.add(norm1(attended(written(g))), self.pad_tokens(g, count))

        return self.op.add(end, y), back

    def attention(self, z: Node, layer: TowerLayer, count: int) -> tuple[Node, Back]:
        """(m, tokens, d) -> (m, count, d), before the layer's own output product."""
        weight, bias = map(_array, layer.read)
        q, k, v = (
            self.linear(self.part(z, 0, count) if i == 0 else z, w, b)
            for i, (w, b) in enumerate(zip(np.split(weight, 3), np.split(bias, 3), strict=True))
        )
        found, attended = self.attend(*(self.split_heads(y, layer.heads) for y, _ in (q, k, v)))

        def back(g: Node) -> Node:
            dq, dk, dv = (self.merge_heads(d) for d in attended(self.split_heads(g, layer.heads)))
            return self.op.add(self.pad_tokens(q[1](dq), count), self.op.add(k[1](dk), v[1](dv)))

        return self.merge_heads(found), back

    def spherical(self, features: Node, targets: Node) -> Node:
        """The slope of `spherical` with respect to features, over the number of pieces."""
        op, last = self.op, self.ints(-1)
        length = op.sqrt(op.reduce_sum(op.multiply(features, features), last, True))
        u = op.divide(features, length)
        apart = op.subtract(u, targets)
        chord = op.sqrt(op.reduce_sum(op.multiply(apart, apart), last, True))
        chord = op.clamp(chord, 1e-6, 2 - 1e-3)
        half = op.asin(op.multiply(chord, self.scalar(0.5)))
        fall = op.sqrt(op.subtract(self.scalar(1), op.multiply(op.multiply(chord, chord), self.scalar(0.25))))
        g = op.multiply(apart, op.divide(op.multiply(half, self.scalar(2)), op.multiply(fall, chord)))
        along = op.multiply(u, op.reduce_sum(op.multiply(u, g), last, True))
        share = op.multiply(length, self.scalar(self.shape.pieces))
        return op.divide(op.subtract(g, along), share)

    def norm(self, x: Node, norm: TowerNorm) -> tuple[Node, Back]:
        return self.layer_norm(x, _array(norm.weight), _array(norm.bias), norm.eps)

    def part(self, x: Node, first: int, last: int) -> Node:
        """Tokens from first to before last of (m, tokens, d)."""
        return self.op.slice(x, self.ints(first), self.ints(last), self.ints(1), self.ints(1))

    def pad_tokens(self, g: Node, count: int) -> Node:
        """(m, count, d) -> (m, tokens, d): nothing comes back from the tokens that were not read."""
        rest = self.tokens - count
        if not rest:
            return g
        return self.op.pad(g, self.ints(0, 0, 0), self.ints(0, rest, 0), "constant", self.scalar(0.0))

    def split_heads(self, x: Node, heads: int) -> Node:
        """(m, tokens, d) -> (m, heads, tokens, d/heads)."""
        return self.transpose(self.reshape(x, self.ints(0, 0, heads, -1)), 0, 2, 1, 3)

    def merge_heads(self, x: Node) -> Node:
        """(m, heads, tokens, d/heads) -> (m, tokens, d)."""
        return self.reshape(self.transpose(x, 0, 2, 1, 3), self.ints(0, 0, -1))

    def transpose(self, x: Node, *axes: int) -> Node:
        return self.op.transpose(x, self.ints(*axes))


def _array(value: Tensor) -> Array:
    found: Array = value.float().cpu().numpy()
    return found
