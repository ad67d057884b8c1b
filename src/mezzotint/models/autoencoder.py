"""The autoencoder of a model on its own, KL or VQ: pictures to latents and back, and what it is (torch)."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.errors import ModelError
from mezzotint.extras import install
from mezzotint.files import default_cache
from mezzotint.models.bundled import BUNDLED
from mezzotint.models.disk.architecture import VaeArch, vae_channels
from mezzotint.models.disk.bundle import Bundle
from mezzotint.models.disk.configs import MANY, real, size, whole
from mezzotint.models.disk.key_tables import VQ
from mezzotint.models.disk.parts import NetworkFiles, read_json, read_part
from mezzotint.models.disk.source import expand_user, find
from mezzotint.models.runtime import Floats, to_signed

_CLASSES = ("AutoencoderKL", "VQModel")
_PLACES = ("", "vae", "vqvae")  # in a folder that is an autoencoder, or has one


class Facts(NamedTuple):
    """What an autoencoder makes of a picture."""

    kind: Literal["kl", "vq"]
    channels: int  # of the latents
    factor: int  # pixels along a side for each latent
    codes: int = 0  # in the codebook; 0: none

    @property
    def compression(self) -> float:
        """H*W*3 numbers of a picture for each of the h*w*c of its latents: 48 for an eighth and 4 channels."""
        return 3 * self.factor**2 / self.channels

    def bits(self, width: int, height: int) -> float:
        """That a picture of this size in pixels takes as indices of the codebook; infinite without one."""
        places = (width // self.factor) * (height // self.factor)
        return places * math.log2(self.codes) if self.codes else math.inf


class Autoencoder:
    """An AutoencoderKL or a VQModel in diffusers' format, in float32 on the CPU."""

    def __init__(self, part: NetworkFiles, name: str) -> None:
        config, where = part.config, str(part.where / "config.json")
        self.name = name
        self.digest = part.digest
        self.facts, self.scaling_factor = _read(config, where)
        across, down = reversed(size(config, 32, where))
        factor = self.facts.factor
        self.default_size: tuple[int, int] = (
            max(1, across // factor) * factor,
            max(1, down // factor) * factor,
        )
        self._vae = _module(part, self.facts.kind)

    @classmethod
    def open(cls, source: str | os.PathLike[str], cache: Path | None = None) -> Autoencoder:
        """Of a bundled name, a model's folder, file or hub id, or a folder that is itself an autoencoder."""
        return cls(_part(source, cache or default_cache()), os.fsdecode(source))

    @property
    def latent_channels(self) -> int:
        """c of the latents (c, h, w)."""
        return self.facts.channels

    @property
    def vae_factor(self) -> int:
        """Pixels along a side for each latent."""
        return self.facts.factor

    def encode(self, images: Sequence[Image.Image]) -> Floats:
        """(n, c, h, w) scaled latents of pictures of one size: the means, or the nearest entries of the codebook."""
        return np.stack([self.encode_picture(np.asarray(image.convert("RGB")))[0] for image in images])

    def encode_picture(self, pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Mean and standard deviation (0 of a codebook), each (c, h, w) and scaled, of (H, W, 3) pixels."""
        import torch

        x = torch.from_numpy(to_signed(pixels, self.vae_factor, f"{self.name} encodes"))
        with torch.no_grad():
            mean, std = self._moments(x.permute(2, 0, 1)[None])
        scaling = np.float32(self.scaling_factor)
        return mean[0].numpy() * scaling, std[0].numpy() * scaling

    def decode(self, latents: Floats) -> NDArray[np.uint8]:
        """(H, W, 3) pixels from (1, c, h, w) scaled latents; with a codebook, from its nearest entries."""
        import torch

        with torch.no_grad():
            z = torch.from_numpy(np.asarray(latents, np.float32) / np.float32(self.scaling_factor))
            out = self._vae.decode(z).sample[0].clamp(-1, 1)
        return np.asarray(((out + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())

    def reconstruct(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """The pictures encoded (to the mean) and decoded."""
        return [Image.fromarray(self.decode(self.encode([image]))) for image in images]

    def _moments(self, x: Any) -> tuple[Any, Any]:
        if self.facts.kind == "kl":
            latents = self._vae.encode(x).latent_dist
            return latents.mean, latents.std
        h = self._vae.encode(x).latents
        index = self._vae.quantize(h)[2][2]
        nearest = self._vae.quantize.get_codebook_entry(index, (len(h), *h.shape[2:], h.shape[1]))
        return nearest, nearest * 0


def _part(source: str | os.PathLike[str], cache: Path) -> NetworkFiles:
    text = os.fsdecode(source)
    folder = BUNDLED[text].path if text in BUNDLED else expand_user(Path(text))
    for place in (folder / name for name in _PLACES):
        if text and is_autoencoder(place):
            return read_part(place, "vae", folder, cache)
    if text and folder.is_dir():
        raise ModelError(f"{folder} has no autoencoder (vae/config.json)")
    bundle = find(source, cache)
    if not isinstance(bundle, Bundle):
        raise ModelError(f"{text} draws pixels; it has no autoencoder")
    return bundle.vae


def is_autoencoder(folder: Path) -> bool:
    """Whether a folder is itself one, and not a model that has one."""
    config = folder / "config.json"
    return config.is_file() and read_json(config).get("_class_name") in _CLASSES


def _read(config: Any, where: str) -> tuple[Facts, float]:
    """What it is, and the scaling of its latents; ModelError for what is not in the family."""
    if config.get("_class_name") != "VQModel":
        arch = VaeArch.read(config, where)
        return Facts("kl", arch.latent_channels, arch.factor), arch.scaling_factor
    VQ.check(config, where)
    levels = len(vae_channels(config, where))
    whole(config, "layers_per_block", 1, where, MANY)
    inner = whole(config, "latent_channels", 3, where)
    width = inner if config.get("vq_embed_dim") is None else whole(config, "vq_embed_dim", inner, where)
    codes = whole(config, "num_vq_embeddings", 256, where)
    scaling = real(config, "scaling_factor", 0.18215, where, 1e-6, 1e6)
    return Facts("vq", width, int(2 ** (levels - 1)), codes), scaling


def _module(part: NetworkFiles, kind: Literal["kl", "vq"]) -> Any:
    try:
        from mezzotint.models.networks import torch_vae, torch_vq

        return torch_vae(part) if kind == "kl" else torch_vq(part)
    except ImportError as error:
        raise ModelError(f"the autoencoder alone runs on torch; {install('torch')}") from error
