"""The small decoder: taught by the full one, on latents of scenes and on what a denoiser guesses early on."""

from __future__ import annotations

import random
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from diffusers.models import AutoencoderKL
from PIL import Image
from pydantic import Field
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from mezzotint.data.scenes import CanonicalComposer, Kind
from mezzotint.models.openvino.small import FILE, SmallArch
from mezzotint.models.steering.small_decoder import SmallDecoder
from mezzotint.pages.tiles import make_grid
from mezzotint.train.config import Training
from mezzotint.train.image_tensors import psnr, pyramid_errors, to_images, to_tensor
from mezzotint.train.loop.loop import train
from mezzotint.train.loop.precision import autocast_beside

HELD = 16


class DecoderConfig(Training):
    """`mezzotint train decoder CONFIG`."""

    vae: Path
    """Of the model it is for: its `vae` folder."""
    data: Path
    """Of `mezzotint data emoji`: canonical scenes of all kinds are composed of it."""
    start: Path | None = None
    """A small decoder of this shape to begin with in place of random weights: its folder."""
    channels: int = Field(64, gt=0)
    blocks: int = Field(3, gt=0)
    batch: int = Field(16, gt=0)
    samples: int = Field(5000, gt=0)
    """Scenes that are encoded, and decoded by the full decoder, before the first step; it costs more than the training."""
    rough: float = Field(0.5, ge=0, le=1)
    """Share of the samples that are made smooth and a little noisy, as the x0 of early steps is."""


class DecoderTask:
    """Look like the full decoder at every scale of a pyramid, so that color is right before edges are."""

    def __init__(self, config: DecoderConfig):
        torch.manual_seed(config.seed)
        self.config = config
        self.vae = AutoencoderKL.from_pretrained(config.vae).eval().requires_grad_(False)
        factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        latents = encode_scenes(self.vae, CanonicalComposer(config.data), config.samples + HELD, config.seed)
        self.module: nn.Module = SmallDecoder(
            SmallArch(latents.shape[1], config.channels, config.blocks, factor)
        )
        if config.start:
            self.module.load_state_dict(load_file(config.start / FILE))
        held, seen = latents[:HELD], latents[HELD:]
        self.held = {"": held, "_rough": roughen(held, 1.0, torch.Generator().manual_seed(0))}
        generator = torch.Generator().manual_seed(config.seed)
        self.latents = roughen(seen, config.rough, generator)
        self.pictures = ((self._decode(self.latents) + 1) * 127.5).round().byte()  # 4 times smaller

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """Absolute error of the picture and of its poolings."""
        rng = np.random.default_rng((self.config.seed, step))
        picked = torch.from_numpy(rng.integers(len(self.latents), size=self.config.batch))
        error = module(self.latents[picked]).float() - (self.pictures[picked].float() / 127.5 - 1)
        l1 = error.abs().mean()
        return sum(pyramid_errors(error), l1), {"l1": l1.item()}

    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """The full decoder above the small one, for latents of scenes and for smooth ones."""
        rows, numbers = [], {}
        for name, z in self.held.items():
            full, small = self._decode(z), module(z).clamp(-1, 1)
            numbers[f"psnr{name}"] = psnr(small, full).mean().item()
            rows += [full[:8], small[:8]]
        return make_grid(to_images(torch.cat(rows)), len(rows[0])), numbers

    def save(self, module: nn.Module, folder: Path) -> None:
        """What belongs into `decoder_small/` of the model."""
        assert isinstance(module, SmallDecoder)
        module.save(folder)

    @torch.no_grad()
    def _decode(self, z: Tensor) -> Tensor:
        """(n, 3, 8h, 8w) of the full decoder, clipped to -1..1."""
        parts = torch.split(z / self.vae.config.scaling_factor, 8)
        with autocast_beside(self.config.loop):
            return torch.cat([self.vae.decode(part).sample.float().clamp(-1, 1) for part in parts])


@torch.no_grad()
def encode_scenes(vae: AutoencoderKL, composer: CanonicalComposer, count: int, seed: int) -> Tensor:
    """(count, c, h, w) scaled latents of scenes of every kind."""
    dice, kinds = random.Random(seed), list(get_args(Kind))
    scenes = [composer.scene(dice.choice(kinds), dice.choice(composer.names), dice) for _ in range(count)]
    parts = (scenes[i : i + 8] for i in range(0, count, 8))
    encoded = [vae.encode(to_tensor([composer.render(s) for s in part])).latent_dist.mean for part in parts]
    return torch.cat(encoded) * float(vae.config.scaling_factor)


def roughen(z: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """(n, c, h, w) with a share of the samples blended toward their means, over patches or the whole, plus noise."""
    n, side = len(z), z.shape[-2:]
    amount = torch.rand(n, 1, 1, 1, generator=generator)
    amount = amount * (torch.rand(n, 1, 1, 1, generator=generator) < share)
    local = F.interpolate(F.avg_pool2d(z, 4), side, mode="bilinear")
    whole = torch.rand(n, 1, 1, 1, generator=generator) < 0.5
    smooth = torch.where(whole, z.mean((2, 3), keepdim=True), local)
    return z.lerp(smooth, amount) + 0.2 * amount * torch.randn(z.shape, generator=generator)


def train_decoder(config: DecoderConfig) -> None:
    """Train the small decoder that a configuration describes."""
    train(DecoderTask(config), config.loop, config.out)
