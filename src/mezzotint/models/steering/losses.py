"""The losses of gradient terms with their slopes, for each sample by itself, and the precision they are computed in (torch)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mezzotint.models.runtime import Dtype

WIDE = 64  # a network narrower than this gains nothing by it


def gradient_dtype(device: torch.device, width: int) -> torch.dtype:
    """For a network of that width. It follows from the machine alone, so a picture does not depend on a timing.

    Measured on a processor with AVX512-BF16: four times as fast as float32, cosine between the gradients 0.9998.
    """
    return torch.bfloat16 if width >= WIDE and _multiplies(device) else torch.float32


def dtype_name(dtype: torch.dtype) -> Dtype:
    """Its name, as a runtime's options have it."""
    return "bfloat16" if dtype == torch.bfloat16 else "float32"


def _multiplies(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)


# Of slopes of the color losses. The published loss is a mean over that many numbers.
COLOR_UNITS = {"pixels": 1 / (3 * 256 * 256), "mean": 1.0}


@torch.no_grad()
def color_loss(pictures: Tensor, rgb: Sequence[tuple[int, int, int]], pixels: int) -> tuple[Tensor, Tensor]:
    """L = mean |x0 - (2*rgb/255 - 1)| of each picture (n, 3, H, W), and its slope in its unit of `COLOR_UNITS`.

    The slope is that of a mean over 256x256 pixels whatever the size, so that scale 40 is the published force on
    each pixel; the loss is the true mean. `pixels`: of the picture, for each that is given.
    """
    error = pictures - (2 * pictures.new_tensor(rgb)[:, :, None, None] / 255 - 1)
    return error.abs().mean((1, 2, 3)), error.sign_() * pixels


@torch.no_grad()
def mean_color_loss(
    pictures: Tensor, rgb: Sequence[tuple[int, int, int]], pixels: int
) -> tuple[Tensor, Tensor]:
    """L = |mean of x0 - (2*rgb/255 - 1)|^2 / 2 of each picture (n, 3, H, W), and its slope times the number of pixels.

    So the slope is the way that is left, at every pixel. `pixels`: of the picture, for each that is given.
    """
    left = pictures.mean((2, 3), keepdim=True) - (2 * pictures.new_tensor(rgb)[:, :, None, None] / 255 - 1)
    return left.square().sum((1, 2, 3)) / 2, left.expand_as(pictures) * pixels


@torch.no_grad()
def spherical(features: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """L = 2*arcsin(|u - v|/2)^2 between u = features/|features| and v = target of unit length, both (n, d).

    Half the square of the angle between them (Crowson 2021); and its slope with respect to the features.
    """
    length = torch.linalg.vector_norm(features, dim=-1, keepdim=True)
    u = features / length
    chord = torch.linalg.vector_norm(u - target, dim=-1, keepdim=True).clamp_(1e-12, 2 - 1e-6)
    half = (chord / 2).arcsin_()
    g = 2 * half / (1 - chord.square() / 4).sqrt_() * (u - target) / chord
    return 2 * half[:, 0].square(), (g - u * (u * g).sum(-1, keepdim=True)) / length
