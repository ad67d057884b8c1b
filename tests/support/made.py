"""Pictures that no model made."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from mezzotint.picture import Picture, Provenance
from mezzotint.request import Request


def noise(seed: int, side: int = 16) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def picture(image: Image.Image | int = 0, prompt: str = "", **asked: Any) -> Picture:
    """Of an image, or of the noise of a number."""
    shown = noise(image) if isinstance(image, int) else image
    about = Provenance(
        "toy", "0" * 64, "numpy", "float32", "fast", "cpu", {"mezzotint": "0"}, 25, 1.5, "2026-01-01"
    )
    return Picture(shown, Request(prompt=prompt, **asked), about)
