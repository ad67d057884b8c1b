"""What adapters add to a weight W, from the small tensors that their files hold.

    LoRA (2106.09685)   B @ A; with a Tucker core (`mid`), mid x B x A
    LoHa (2108.06098)   (w1_a @ w1_b) * (w2_a @ w2_b)
    LoKr (2309.14859)   kron(w1, w2), each whole or a product
    full                the difference itself
    DoRA (2402.09353)   m * (W + dW) / norm(W + dW) - W

All but the full difference times alpha / rank. Matrices are (cout, cin * h * w).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ModelError
from mezzotint.models.disk.weights import Tensor

Matrix = NDArray[np.float32]
Roles = Mapping[str, Tensor]


@dataclass(frozen=True)
class Whole:
    """A matrix that is stored as it is."""

    tensor: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        return _flat_shape(self.tensor)

    def read(self) -> Matrix:
        return _flat(self.tensor)


@dataclass(frozen=True)
class Factors:
    """A product: up @ down, or with a Tucker core sum_mn core[m, n] up[:, m] down[n]."""

    up: Tensor  # (cout, rank), or with `turned` (rank, cout)
    down: Tensor  # (rank, cin * h * w), with a core (rank, cin)
    core: Tensor | None = None  # (rank, rank, h, w)
    turned: bool = False

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """ValueError where the factors do not fit each other."""
        up, (rank, columns) = _flat_shape(self.up), _flat_shape(self.down)
        rows, inner = (up[1], up[0]) if self.turned else up
        core = self.core.shape if self.core else (rank, rank)
        if rank < 1 or core[:2] != (inner, rank):
            raise ValueError
        return rows, columns * math.prod(core[2:])

    def read(self) -> Matrix:
        up, down = _flat(self.up), _flat(self.down)
        up = up.T if self.turned else up
        if not self.core:
            return up @ down
        core = self.core.read().astype(np.float32)
        product = np.einsum("mn...,im,nj->ij...", core, up, down, optimize=True)
        return np.asarray(product.reshape(len(up), -1), np.float32)


@dataclass(frozen=True)
class Delta:
    """What one file adds to one weight."""

    source: str  # the file as it was given, for messages
    layer: str  # with its network's name
    rule: Literal["sum", "hadamard", "kron"]
    terms: tuple[Whole | Factors, ...]  # one, or two that the rule joins
    scale: float
    magnitude: Tensor | None = None  # DoRA's m
    axis: int = 0  # of W, along which m runs

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix. ValueError where the tensors do not fit each other."""
        shapes = [term.shape for term in self.terms]
        if self.rule == "kron":
            (a, c), (b, d) = shapes
            return a * b, c * d
        if len(set(shapes)) != 1:
            raise ValueError
        return shapes[0]

    def added_to(self, base: Matrix) -> Matrix:
        """What a weight of 1 adds to a float32 array of any shape, in that shape. ModelError where it is not finite."""
        try:
            with np.errstate(all="ignore"):
                added = (np.float32(self.scale) * self._product()).reshape(base.shape)
                added = added if self.magnitude is None else self._with_magnitude(base, added)
        except OSError as error:
            raise ModelError(f"cannot read {self.source}: {error}; give the LoRA again with --lora") from None
        if not np.isfinite(added).all():
            raise ModelError(f"{self.source}: {self.layer} holds NaN or infinity; the LoRA is damaged")
        return np.asarray(added, np.float32)

    def _product(self) -> Matrix:
        first, *others = [term.read() for term in self.terms]
        if not others:
            return first
        return np.kron(first, others[0]) if self.rule == "kron" else first * others[0]

    def _with_magnitude(self, base: Matrix, added: Matrix) -> Matrix:
        assert self.magnitude is not None
        m, whole = self.magnitude.read().astype(np.float32), base + added
        axes = tuple(axis for axis in range(base.ndim) if axis != self.axis)
        norm = np.sqrt(np.square(whole, dtype=np.float64).sum(axes, keepdims=True)).astype(np.float32)
        return np.asarray(m.reshape(norm.shape) / norm * whole - base, np.float32)


def magnitude_axis(magnitude: tuple[int, ...], weight: tuple[int, ...]) -> int:
    """The axis of the weight that LyCORIS' `dora_scale` runs along: 0, or 1 as older files have it.

    Both are told by where the 1s stand: (cout, 1, 1, 1) or (1, cin, 1, 1). ValueError where neither fits.
    """
    for axis in (0, 1):
        ones = [1 if i != axis else n for i, n in enumerate(weight)]
        if _trim_ones(magnitude) == _trim_ones(tuple(ones)):
            return axis
    raise ValueError


def _trim_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    while shape[1:] and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _flat_shape(tensor: Tensor) -> tuple[int, int]:
    rows = tensor.shape[0] if tensor.shape else 1
    return rows, math.prod(tensor.shape[1:])


def _flat(tensor: Tensor) -> Matrix:
    return np.asarray(tensor.read(), np.float32).reshape(_flat_shape(tensor))
