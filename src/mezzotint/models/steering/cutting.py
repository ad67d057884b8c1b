"""Pieces of pictures, and the way back from them: two matrix products each way (torch)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mezzotint.models.steering.cutouts import Cutouts

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
