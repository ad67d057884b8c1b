"""Sharper pictures from the same latents: the decoder learns canonical scenes, and the encoder stays as it is."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from diffusers.models import AutoencoderKL
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from mezzotint.data.scenes import CanonicalComposer, Kind
from mezzotint.pages.tiles import make_grid
from mezzotint.train.config import Training
from mezzotint.train.image_tensors import psnr, pyramid_errors, to_images, to_tensor
from mezzotint.train.loop.loop import train

HELD = 32
"""Scenes of a sheet, the same for all sheets."""
MIX: dict[Kind, float] = {
    "plain": 0.45, "styled": 0.2, "color": 0.13, "place": 0.1, "count": 0.05, "pair": 0.07,
}  # fmt: skip


class SharpenConfig(Training):
    """`mezzotint train sharpen CONFIG`."""

    vae: Path
    """The autoencoder whose decoder learns: the `vae` folder of a model."""
    data: Path
    """Of `mezzotint data emoji`: canonical scenes are composed of it."""
    batch: int = Field(8, gt=0)
    edges: float = Field(1.0, ge=0)
    """Weight of the error of differences between neighboring pixels."""
    noise: float = Field(0.12, ge=0)
    """The most noise that is added to latents, as a denoiser leaves some."""


class SharpenTask:
    """Absolute error at every scale of a pyramid, and of the differences between neighbors."""

    def __init__(self, config: SharpenConfig):
        torch.manual_seed(config.seed)
        self.config = config
        self.vae = AutoencoderKL.from_pretrained(config.vae).float().eval().requires_grad_(False)
        self.vae.decoder.requires_grad_(True)
        self.module: nn.Module = self.vae.decoder
        self.composer = CanonicalComposer(config.data)
        rng = random.Random("sharpen sheet")
        self.fixed = to_tensor([self._scene(rng) for _ in range(HELD)])

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """The errors of a batch of scenes, whose latents carry a little noise."""
        config, rng = self.config, random.Random(f"sharpen {self.config.seed} {step}")
        x = to_tensor([self._scene(rng) for _ in range(config.batch)])
        z = self._latents(x)
        dice = torch.Generator().manual_seed(step)
        amount = config.noise * torch.rand(len(z), 1, 1, 1, generator=dice)
        error = (
            module(self.vae.post_quant_conv(z + amount * torch.randn(z.shape, generator=dice))).float() - x
        )
        edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        flat = error.abs().mean() + error.square().mean()
        return sum(pyramid_errors(error), flat + config.edges * edges), {"l1": error.abs().mean().item()}

    @torch.no_grad()
    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """Scenes above their reconstructions; PSNR, dB."""
        parts = torch.split(self._latents(self.fixed), 8)
        out = torch.cat([module(self.vae.post_quant_conv(z)).float() for z in parts]).clamp(-1, 1)
        rows = torch.cat([self.fixed[:8], out[:8], self.fixed[8:16], out[8:16]])
        return make_grid(to_images(rows)), {"psnr": psnr(out, self.fixed).mean().item()}

    def save(self, module: nn.Module, folder: Path) -> None:
        """The autoencoder as a diffusers folder."""
        self.vae.save_pretrained(folder)

    @torch.no_grad()
    def _latents(self, x: Tensor) -> Tensor:
        return torch.cat([self.vae.encode(part).latent_dist.mean for part in torch.split(x, 8)])

    def _scene(self, rng: random.Random) -> Image.Image:
        kind = rng.choices(list(MIX), list(MIX.values()))[0]
        return self.composer.render(self.composer.scene(kind, rng.choice(self.composer.names), rng))


def train_sharpen(config: SharpenConfig) -> None:
    """Train the decoder that a configuration describes."""
    train(SharpenTask(config), config.loop, config.out)
