"""Latents as a thing to keep: values, where they come from, what they are like; a safetensors file and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mezzotint.errors import DataError, ModelError
from mezzotint.inspection.codec import Codec, Floats, Pixels
from mezzotint.models.disk.weights import TensorFile
from mezzotint.picture import MAX_PIXELS
from mezzotint.rng import Generator

_FORMAT = "mezzotint-latents-1"
_LARGEST = 1 << 24  # values


class Statistics(NamedTuple):
    """Of one channel."""

    mean: float
    std: float
    min: float
    max: float


@dataclass(frozen=True, eq=False)
class PictureLatents:
    """The scaled latents of one picture, as the denoiser reads them."""

    values: Floats  # (C, h, w)
    model: str
    digest: str  # of the model, hexadecimal
    scaling: float  # the encoder's own values times this
    width: int  # of the picture, pixels
    height: int

    @property
    def statistics(self) -> list[Statistics]:
        """One a channel."""
        return [
            Statistics(float(c.mean()), float(c.std()), float(c.min()), float(c.max())) for c in self.values
        ]

    @property
    def factor(self) -> float:
        """Numbers of the picture, H*W*3, for each number of its latents, h*w*c."""
        return self.width * self.height * 3 / self.values.size

    def to_bytes(self) -> bytes:
        """A safetensors file: the values and, as its metadata, the rest."""
        from safetensors.numpy import save

        about = {"format": _FORMAT, "model": self.model, "model_digest": self.digest}
        about |= {"scaling_factor": repr(self.scaling), "width": str(self.width), "height": str(self.height)}
        return bytes(save({"latents": np.ascontiguousarray(self.values)}, metadata=about))

    @classmethod
    def load(cls, path: Path) -> PictureLatents:
        """From a file that `to_bytes` filled; nothing in it is trusted. DataError says what is wrong."""
        try:
            made = cls._read(path)
        except ModelError as error:
            raise DataError(str(error)) from None
        except (KeyError, ValueError, TypeError):
            raise DataError(f"{path} holds no latents that `mezzotint latents encode` wrote") from None
        if not np.isfinite(made.values).all():
            raise DataError(f"{path}: the latents hold NaN or infinity")
        return made

    @classmethod
    def _read(cls, path: Path) -> PictureLatents:
        file = TensorFile.open(path)
        stored, told = file["latents"], file.metadata
        if told["format"] != _FORMAT:
            raise ValueError(told["format"])
        if len(stored.shape) != 3 or not 0 < np.prod([float(n) for n in stored.shape]) <= _LARGEST:
            raise DataError(f"{path}: latents of shape {list(stored.shape)}; they should be (C, h, w)")
        width, height, scaling = int(told["width"]), int(told["height"]), float(told["scaling_factor"])
        values = np.array(stored.read(), np.float32)
        return cls(values, told["model"], told["model_digest"], scaling, width, height)


def encode(codec: Codec, pixels: Pixels, seed: int | None = None) -> PictureLatents:
    """The mean of a picture's latents or, with a seed, a draw from them: that of `latent_dist.sample(generator)`."""
    values, std = codec.encode_picture(pixels)
    if seed is not None:
        values = values + std * Generator(seed).normal(values.shape)
    height, width = pixels.shape[:2]
    scaling = float(getattr(codec, "scaling_factor", 1.0))  # pixel models have none
    return PictureLatents(values, codec.name, codec.digest, scaling, width, height)


def decode(codec: Codec, latents: PictureLatents) -> Pixels:
    """(H, W, 3). DataError where they are not this model's: of other channels, or of a picture beyond measure."""
    channels, h, w = latents.values.shape
    if h * w * codec.vae_factor**2 > MAX_PIXELS:
        raise DataError(f"latents of {w}x{h} are of a larger picture than is decoded")
    if channels != codec.latent_channels:
        raise DataError(f"the latents have {channels} channels, {codec.name} decodes {codec.latent_channels}")
    return codec.decode(latents.values[None])
