"""Pictures as tensors and back, how near they come to others, and text as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from mezzotint import metrics


def to_tensor(images: Sequence[Image.Image]) -> Tensor:
    """Pictures as (n, 3, h, w) in [-1, 1]."""
    array = np.stack([np.asarray(image) for image in images])
    return torch.from_numpy(array).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def to_images(x: Tensor) -> list[Image.Image]:
    """Pictures of (n, 3, h, w) in -1..1."""
    pixels = ((x.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(np.ascontiguousarray(one)) for one in pixels]


def text_image(lines: Sequence[str]) -> Image.Image:
    """A picture of text."""
    image = Image.new("RGB", (900, 16 * len(lines) + 8), "white")
    for row, line in enumerate(lines):
        ImageDraw.Draw(image).text((6, 4 + 16 * row), line, fill="black")
    return image


def pyramid_errors(error: Tensor) -> Iterator[Tensor]:
    """The mean absolute error at a half, a quarter and an eighth of the size of (n, c, h, w)."""
    return (F.avg_pool2d(error, factor).abs().mean() for factor in (2, 4, 8))


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """(n,) peak signal to noise of pictures (n, c, h, w) in -1..1, dB."""
    pairs = zip(x.detach().float().cpu().numpy(), y.detach().float().cpu().numpy(), strict=True)
    return torch.tensor([metrics.psnr(one, other, peak=2) for one, other in pairs])
