"""The nearest real picture: a strict measure that no network takes part in, so nothing can be trained to please it.

A picture is cropped to the square around what differs from its background. Its features are the colors of the crop at
24x24 pixels and the gradients of their gray. The answer is the object of the real picture at the smallest distance.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.data.subsets import read_rows
from mezzotint.files import default_cache, file_digest, key_of, write_atomic

Floats = NDArray[np.float32]
VERSION = 1
"""Of the features; another number makes those that are kept anew."""
SIDE = 24
DIFFERS = 0.12
"""Of 1, in any channel: what differs by more from the median of the border is not background."""
GRADIENT_WEIGHT = 2.0


@dataclass(frozen=True, eq=False)
class Gallery:
    """Real pictures as features (n, d), and the names that each bears."""

    features: Floats
    names: tuple[frozenset[str], ...]

    @classmethod
    def read(cls, folder: Path, cache: Path | None = None) -> Self:
        """All pictures of a folder that `mezzotint data emoji` wrote, in every style. DataError where there are none.

        Features are kept in the cache under a digest of the table of pictures.
        """
        rows = read_rows(folder)
        digest = key_of(VERSION, file_digest(folder / "metadata.jsonl"))
        place = (cache or default_cache()) / "nearest" / f"{digest}.npy"
        if place.exists():
            features = np.load(place)
        else:
            features = np.stack([describe(center_on_white(folder / row["file_name"])) for row in rows])
            place.parent.mkdir(parents=True, exist_ok=True)
            buffer = io.BytesIO()
            np.save(buffer, features.astype(np.float16))
            write_atomic(place, buffer.getvalue())
        names = tuple(frozenset((row["object"], *row["aliases"])) for row in rows)
        return cls(features.astype(np.float32), names)

    def nearest(self, images: Sequence[Image.Image]) -> list[frozenset[str]]:
        """The names of the nearest real picture of each."""
        described = np.stack([describe(image) for image in images])
        squares = np.einsum("nd,nd->n", self.features, self.features)
        return [self.names[i] for i in (squares - 2 * described @ self.features.T).argmin(1)]


def describe(image: Image.Image) -> Floats:
    """The features (3 * SIDE² + 2 * SIDE²) of what a picture holds before its background."""
    pixels = np.asarray(image.convert("RGB"), np.float32) / np.float32(255)
    crop = Image.fromarray((255 * _crop(pixels)).round().astype(np.uint8))
    small = np.asarray(crop.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32) / 255
    down, right = np.gradient(small.mean(2))
    return np.concatenate([small.ravel(), GRADIENT_WEIGHT * down.ravel(), GRADIENT_WEIGHT * right.ravel()])


def halves(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """The left and the right half of a picture."""
    width, height = image.size
    return image.crop((0, 0, width // 2, height)), image.crop((width // 2, 0, width, height))


def center_on_white(path: Path, side: int = 112, size: int = 128) -> Image.Image:
    """A picture with transparency in the middle of a white square, as a canonical scene has it."""
    with Image.open(path) as image:
        sprite = image.convert("RGBA").resize((side, side), Image.Resampling.LANCZOS)
    ground = Image.new("RGB", (size, size), "white")
    ground.paste(sprite, ((size - side) // 2,) * 2, sprite)
    return ground


def real_files(data: Path) -> dict[tuple[str, str], str]:
    """The picture of each (object, style), and of each object in its first style under (object, "")."""
    files: dict[tuple[str, str], str] = {}
    for row in read_rows(data):
        if row["split"] != "style":  # a style that no model was trained on
            files.setdefault((row["object"], row["style"]), row["file_name"])
            files.setdefault((row["object"], ""), row["file_name"])
    return files


def _crop(pixels: Floats) -> Floats:
    """The square around what differs from the border's median; all else is white."""
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    differs = (np.abs(pixels - np.median(edge, 0)) > DIFFERS).any(2)
    if not differs.any():
        return np.ones_like(pixels)
    cleaned = np.where(differs[..., None], pixels, np.float32(1))
    (top, bottom), (left, right) = (
        np.percentile(where, [1, 99]).round().astype(int) for where in differs.nonzero()
    )
    side = max(bottom - top, right - left) + 1
    margin = np.ones((side, *cleaned.shape[1:]), np.float32)
    tall = np.concatenate([margin, cleaned, margin])
    beside = np.ones((len(tall), side, 3), np.float32)
    padded = np.concatenate([beside, tall, beside], 1)
    y, x = ((a + b + 1 - side) // 2 + side for a, b in ((top, bottom), (left, right)))
    return np.asarray(padded[y : y + side, x : x + side])
