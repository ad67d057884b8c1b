"""Heat over a picture: the colors of a map, and the map laid over the picture in gray."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Inferno of matplotlib (van der Walt and Smith, CC0): as bright to the eye as the value is high.
_INFERNO = "000004 160b39 420a68 6a176e 932667 bc3754 dd513a f37819 fca50a f6d746 fcffa4"  # from 0 to 1

Floats = NDArray[np.float32]
Size = tuple[int, int]  # width, height


def overlay(picture: Image.Image, heat: Floats, size: Size) -> Image.Image:
    """The heat in color over the picture in gray, whose outlines stay to be seen. heat (H, W), 0..1."""
    large = max(size[0], picture.width), max(size[1], picture.height)
    gray = np.asarray(picture.convert("L").resize(large, Image.Resampling.BICUBIC), np.float32)[..., None]
    hot = np.asarray(Image.fromarray(heat).resize(large, Image.Resampling.BICUBIC)).clip(0, 1)
    mixed = inferno(hot) * (0.45 + 0.55 * gray / 255) + 0.16 * gray * (1 - hot[..., None])
    return Image.fromarray(mixed.clip(0, 255).round().astype(np.uint8)).resize(size, Image.Resampling.LANCZOS)


def inferno(values: Floats) -> Floats:
    """Colors (..., 3), 0..255, of values (...), 0..1."""
    anchors = np.array([list(bytes.fromhex(color)) for color in _INFERNO.split()], np.float32)
    at = np.linspace(0, 1, len(anchors))
    return np.stack([np.interp(values, at, channel) for channel in anchors.T], -1).astype(np.float32)
