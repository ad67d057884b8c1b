"""Latents as pictures, as parts of graphs: what `loss_decoders.py` does with torch."""

from __future__ import annotations

import numpy as np

from mezzotint.models.disk.parts import NetworkFiles
from mezzotint.models.openvino.derived import Back, Derived
from mezzotint.models.openvino.layers import Node
from mezzotint.models.openvino.small import SmallArch, small_derived
from mezzotint.models.runtime import Dtype, Floats


class GraphDecoder:
    """One way to see what a model predicts. dtype: in which it is precise enough and quick; factor: pixels of a side for
    each of what is seen; pixels: of the finished picture for each of these."""

    dtype: Dtype = "float32"
    factor: int = 1
    pixels: int = 1

    def __call__(self, net: Derived, seen: Node) -> tuple[Node, Back]:
        """(n, 3, H, W) about -1..1 from (n, c, h, w), and the way back."""
        raise NotImplementedError


class PixelGraphDecoder(GraphDecoder):
    """Of a model whose latents are the picture."""

    def __call__(self, net: Derived, seen: Node) -> tuple[Node, Back]:
        return seen, lambda g: g


class LinearGraphDecoder(GraphDecoder):
    """A pixel for each latent, by a matrix (c + 1, 3)."""

    def __init__(self, matrix: Floats, factor: int) -> None:
        self._matrix, self.pixels = matrix, factor**2

    def __call__(self, net: Derived, seen: Node) -> tuple[Node, Back]:
        kernel = np.ascontiguousarray(self._matrix[:-1].T[:, :, None, None])
        return net.conv(seen, kernel, self._matrix[-1])


class SmallGraphDecoder(GraphDecoder):
    """By the small decoder of a model."""

    def __init__(self, part: NetworkFiles, arch: SmallArch, dtype: Dtype) -> None:
        self._part, self._arch, self.factor, self.dtype = part, arch, arch.factor, dtype

    def __call__(self, net: Derived, seen: Node) -> tuple[Node, Back]:
        return small_derived(net, self._arch, self._part.weights())(seen)
