"""The autoencoder: scenes to 4 channels at an eighth of the size, a factor of 48."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from mezzotint.data.compose import Composer
from mezzotint.pages.tiles import make_grid
from mezzotint.train.config import Training
from mezzotint.train.fidelity import psnr, pyramid_errors
from mezzotint.train.regularizers import REGULARIZERS, AutoencoderShape
from mezzotint.train.running.loop import train
from mezzotint.train.sheets import to_images, to_tensor


class VaeConfig(AutoencoderShape, Training):
    """`mezzotint train vae CONFIG`."""

    data: Path
    batch: int = Field(8, gt=0)
    crop: int = Field(128, ge=32)
    """Side of the random piece of each scene that is trained on."""


class VaeTask:
    """Reconstruct composed scenes: absolute error at every scale of a pyramid, so that color is learned before edges."""

    def __init__(self, config: VaeConfig):
        torch.manual_seed(config.seed)
        self.config = config
        self.composer = Composer(config.data)
        self.regularized = REGULARIZERS[config.regularizer](config)
        self.module: nn.Module = self.regularized
        self.vae = self.regularized.vae
        if config.freeze_encoder:
            self.vae.encoder.requires_grad_(False)
            self.vae.quant_conv.requires_grad_(False)
        rng = random.Random("vae sheet")
        self.fixed = to_tensor([Composer(config.data, ("test",)).scene(rng).image for _ in range(64)])

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """Pyramid of absolute errors, a squared error, and the penalty of the regularizer."""
        config, rng = self.config, random.Random(f"vae {self.config.seed} {step}")
        x = to_tensor([_crop(self.composer.scene(rng).image, config.crop, rng) for _ in range(config.batch)])
        settled = step // config.loop.accumulate >= config.loop.steps - config.loop.cooldown
        out, penalty, numbers = module(x, torch.Generator().manual_seed(step), settled)
        error = out.float() - x
        loss = sum(pyramid_errors(error), error.abs().mean() + error.square().mean())
        told = {"l1": error.abs().mean(), **numbers}
        return loss + penalty, {key: value.item() for key, value in told.items()}

    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """Held-out scenes above their reconstructions."""
        z = self._latents()
        out = torch.cat([self.vae.decode(part).sample for part in torch.split(z, 8)]).clamp(-1, 1)
        near = psnr(out, self.fixed)
        rows = torch.cat([self.fixed[:8], out[:8], self.fixed[8:16], out[8:16]])
        numbers = {"psnr": near.mean().item(), "psnr_min": near.min().item(), "latent_std": z.std().item()}
        return make_grid(to_images(rows)), {**numbers, **self.regularized.numbers(z)}

    def save(self, module: nn.Module, folder: Path) -> None:
        """A diffusers folder, with the scaling that gives latents a standard deviation of 1."""
        self.vae.register_to_config(scaling_factor=round(1 / self._latents().std().item(), 5))
        self.vae.save_pretrained(folder)

    @torch.no_grad()
    def _latents(self) -> Tensor:
        return torch.cat([self.regularized.latents(x) for x in torch.split(self.fixed, 8)])


def _crop(image: Image.Image, side: int, rng: random.Random) -> Image.Image:
    x, y = rng.randint(0, image.width - side), rng.randint(0, image.height - side)
    return image.crop((x, y, x + side, y + side))


def train_vae(config: VaeConfig) -> None:
    """Train the autoencoder that a configuration describes."""
    train(VaeTask(config), config.loop, config.out)
