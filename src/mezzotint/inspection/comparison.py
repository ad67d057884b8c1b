"""Autoencoders side by side: what they keep of the same pictures, and what their latents are like (torch)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mezzotint.inspection.codec import Pixels
from mezzotint.metrics import psnr
from mezzotint.models.autoencoder import Autoencoder, Facts


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What one autoencoder keeps of some pictures."""

    name: str
    facts: Facts
    bits: float  # a picture as codes; infinite without a codebook
    psnr: tuple[float, ...]  # of each picture, dB
    means: tuple[float, ...]  # of each channel of the scaled latents
    stds: tuple[float, ...]
    codes_used: int  # by all pictures together; 0 without a codebook
    shown: tuple[Pixels, ...]  # the first pictures again


def measure_reconstruction(
    auto: Autoencoder, images: Sequence[Image.Image], shown: int = 8
) -> Reconstruction:
    """Encode (to the mean) and decode pictures of one size."""
    z = auto.encode(images)
    back = [auto.decode(z[i : i + 1]) for i in range(len(images))]
    errors = [psnr(np.asarray(i.convert("RGB")), b) for i, b in zip(images, back, strict=True)]
    vectors = z.transpose(0, 2, 3, 1).reshape(-1, z.shape[1])
    used = len(np.unique(vectors, axis=0)) if auto.facts.codes else 0
    means, stds = (tuple(map(float, numbers)) for numbers in (vectors.mean(0), vectors.std(0)))
    bits = auto.facts.bits(*images[0].size)
    return Reconstruction(auto.name, auto.facts, bits, tuple(errors), means, stds, used, tuple(back[:shown]))
