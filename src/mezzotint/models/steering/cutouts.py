"""Random cutouts of a picture and the way back from them: crop, flip and resize as two matrix products.

A cutout is `rows @ picture @ columns.T`. Drawing the matrices is numpy, applying them torch. All randomness is drawn
from the generator that is passed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mezzotint.guidance.steer import Clip
from mezzotint.models.runtime import Floats

_AREA, _RATIO = (0.08, 1.0), (3 / 4, 4 / 3)  # torchvision's defaults


class Cutouts(NamedTuple):
    """k pieces of a picture of height H and width W."""

    rows: Floats  # (k, size, H)
    columns: Floats  # (k, size, W); backward where the piece is mirrored
    turns: Floats  # (k,) degrees by which each is turned afterwards


class _Box(NamedTuple):
    top: int
    left: int
    height: int
    width: int


def sample_cutouts(term: Clip, height: int, width: int, size: int, draw: np.random.Generator) -> Cutouts:
    """What a term looks at: `crop` "resized" as torchvision's RandomResizedCrop and RandomHorizontalFlip, with
    `degrees` also RandomAffine; "square" as MakeCutouts of the community pipeline; "whole" the picture once."""
    if term.crop == "whole":
        return _resize_boxes([_Box(0, 0, height, width)], np.zeros(1, bool), 0, height, width, size, draw)
    if term.crop == "square":
        boxes = [_square_box(height, width, size, draw) for _ in range(term.cutouts)]
        return Cutouts(
            pool_matrices([(b.top, b.height) for b in boxes], height, size),
            pool_matrices([(b.left, b.width) for b in boxes], width, size),
            _rotations(term.degrees, len(boxes), draw),
        )
    boxes = [_random_box(height, width, draw) for _ in range(term.cutouts)]
    flips = draw.random(len(boxes)) < 0.5
    return _resize_boxes(boxes, flips, term.degrees, height, width, size, draw)


def resize_matrices(spans: list[tuple[int, int]], length: int, size: int) -> Floats:
    """(k, size, length): spans (first, count) of a side, resized as torch's antialiased bilinear interpolation."""
    first, count = (np.array(values, np.float32)[:, None, None] for values in zip(*spans, strict=True))
    scale = count / size
    target, source = np.arange(size, dtype=np.float32)[:, None] + 0.5, np.arange(length, dtype=np.float32)
    distance = np.abs(source + 0.5 - first - scale * target) / np.maximum(scale, 1)
    weights = np.maximum(1 - distance, 0)
    weights *= (source >= first) & (source < first + count)
    weights /= weights.sum(-1, keepdims=True)
    return np.asarray(weights, np.float32)


def pool_matrices(spans: list[tuple[int, int]], length: int, size: int) -> Floats:
    """(k, size, length): spans (first, count) of a side, pooled as torch's adaptive average pooling."""
    first, count = (np.array(values)[:, None, None] for values in zip(*spans, strict=True))
    target, source = np.arange(size)[:, None], np.arange(length)
    begin, end = first + target * count // size, first - (-(target + 1) * count // size)
    inside = ((source >= begin) & (source < end)).astype(np.float32)
    return np.asarray(inside / inside.sum(-1, keepdims=True), np.float32)


def _resize_boxes(
    boxes: list[_Box],
    flips: NDArray[np.bool_],
    degrees: float,
    height: int,
    width: int,
    size: int,
    draw: np.random.Generator,
) -> Cutouts:
    columns = resize_matrices([(b.left, b.width) for b in boxes], width, size)
    columns[flips] = columns[flips, ::-1]
    turns = _rotations(degrees, len(boxes), draw)
    turns[flips] *= -1  # a mirror turns the other way round
    return Cutouts(resize_matrices([(b.top, b.height) for b in boxes], height, size), columns, turns)


def _rotations(degrees: float, count: int, draw: np.random.Generator) -> Floats:
    return (
        draw.uniform(-degrees, degrees, count).astype(np.float32) if degrees else np.zeros(count, np.float32)
    )


def _random_box(height: int, width: int, draw: np.random.Generator) -> _Box:
    """A box of random area and shape that fits within ten tries, else the largest one in the middle."""
    for _ in range(10):
        area = height * width * draw.uniform(*_AREA)
        ratio = math.exp(draw.uniform(math.log(_RATIO[0]), math.log(_RATIO[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return _Box(int(draw.integers(height - h + 1)), int(draw.integers(width - w + 1)), h, w)
    w, h = min(width, round(height * _RATIO[1])), min(height, round(width / _RATIO[0]))
    return _Box((height - h) // 2, (width - w) // 2, h, w)


def _square_box(height: int, width: int, size: int, draw: np.random.Generator) -> _Box:
    most = min(height, width)
    least = min(most, size)
    side = int(draw.random() * (most - least) + least)
    left, top = draw.integers(width - side + 1), draw.integers(height - side + 1)
    return _Box(int(top), int(left), side, side)


Back = Callable[[Tensor], Tensor]


@torch.no_grad()
def extract_cutouts(pictures: Tensor, made: Sequence[Cutouts], raw: Sequence[bool]) -> tuple[Tensor, Back]:
    """(m, 3, size, size) pieces of pictures (n, 3, H, W) in -1..1, those of the first before those of the second.

    They are in 0..1 as a CLIP reads them; where `raw`, they stay as the pictures are, unclipped. And what turns a
    gradient with respect to the pieces into one with respect to the pictures.
    """
    height, width = pictures.shape[-2:]
    size = made[0].rows.shape[1]
    rows = [_like(one.rows, pictures).view(-1, height) for one in made]  # (k*size, H)
    columns = _like(np.concatenate([one.columns for one in made]), pictures)  # (m, size, W)
    turns = np.concatenate([one.turns for one in made])
    seen, keep = _to_clip_range(pictures, raw)
    flat = seen.transpose(1, 2).flatten(2)  # (n, H, 3*W)
    lines = torch.cat([row @ picture for row, picture in zip(rows, flat, strict=True)])
    square = lines.view(len(columns), -1, width) @ columns.transpose(1, 2)  # (m, size*3, size)
    square = square.view(-1, size, 3, size).transpose(1, 2)
    pieces, turned_back = rotate(square, _like(turns, pictures)) if turns.any() else (square, _same)

    @torch.no_grad()
    def back(g: Tensor) -> Tensor:
        flat = turned_back(g).transpose(1, 2).reshape(len(columns), -1, size) @ columns  # (m, size*3, W)
        lines = torch.split(flat.view(-1, 3 * width), [len(row) for row in rows])
        found = torch.stack([row.T @ line for row, line in zip(rows, lines, strict=True)])
        return found.view(-1, height, 3, width).transpose(1, 2) * keep

    return pieces, back


@torch.no_grad()
def rotate(pictures: Tensor, degrees: Tensor) -> tuple[Tensor, Back]:
    """(n, c, s, s), each turned about its middle, with zeros at the corners; and the way back."""
    angle = degrees.float() * (math.pi / 180)
    zero = torch.zeros_like(angle)
    matrix = torch.stack([angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero], -1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, list(pictures.shape), align_corners=False)
    with torch.enable_grad():
        entry = pictures.float().detach().requires_grad_()
        found = F.grid_sample(entry, grid, mode="bilinear", align_corners=False)

    def back(g: Tensor) -> Tensor:
        return torch.autograd.grad(found, entry, g.float())[0].to(pictures.dtype)

    return found.detach().to(pictures.dtype), back


def _to_clip_range(pictures: Tensor, raw: Sequence[bool]) -> tuple[Tensor, Tensor]:
    """The pictures as the pieces have them, and the slope of that."""
    clipped, slope = (pictures / 2 + 0.5).clamp_(0, 1), (pictures.abs() <= 1) * pictures.new_tensor(0.5)
    if not any(raw):
        return clipped, slope
    as_is = torch.tensor(raw, device=pictures.device)[:, None, None, None]
    return torch.where(as_is, pictures, clipped), torch.where(as_is, torch.ones_like(slope), slope)


def _like(values: NDArray[Any], other: Tensor) -> Tensor:
    return torch.from_numpy(values).to(other.device, other.dtype)


def _same(g: Tensor) -> Tensor:
    return g
