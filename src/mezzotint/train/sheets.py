"""Pictures as tensors and back; and text as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor


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
