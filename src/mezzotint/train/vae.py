"""The autoencoder: scenes to 4 channels at an eighth of the size, regularized by KL or a codebook (VQ)."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Literal

import torch
from diffusers.models import AutoencoderKL, VQModel
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from mezzotint.config import Config
from mezzotint.data.compose import Composer
from mezzotint.pages.tiles import make_grid
from mezzotint.train.config import Training
from mezzotint.train.image_tensors import psnr, pyramid_errors, to_images, to_tensor
from mezzotint.train.loop.loop import train

Numbers = dict[str, Tensor]


class AutoencoderShape(Config):
    """What an autoencoder is, and how its latents are kept tame."""

    channels: tuple[int, ...] = (32, 64, 96, 128)
    latent_channels: int = 4
    groups: int = 16
    regularizer: Literal["kl", "vq"] = "kl"
    kl_weight: float = 5e-4
    codes: int = Field(4096, ge=2)
    """Entries of the codebook (vq)."""
    commitment: float = Field(0.25, gt=0)
    """Weight of the distance from each latent to its code (vq)."""
    freeze_encoder: bool = False
    """Keep latents as they are and go on with the decoder alone."""


def _levels(shape: AutoencoderShape) -> dict[str, object]:
    return {
        "down_block_types": ("DownEncoderBlock2D",) * len(shape.channels),
        "up_block_types": ("UpDecoderBlock2D",) * len(shape.channels),
        "block_out_channels": shape.channels,
        "layers_per_block": 1,
        "norm_num_groups": shape.groups,
        "latent_channels": shape.latent_channels,
        "sample_size": 128,
    }


class KlAutoencoder(nn.Module):
    """There and back through a draw from each posterior (Kingma & Welling 2013, 1312.6114)."""

    def __init__(self, shape: AutoencoderShape):
        super().__init__()
        self.vae = AutoencoderKL(**_levels(shape))
        self.weight = shape.kl_weight

    def forward(self, x: Tensor, generator: torch.Generator, settled: bool) -> tuple[Tensor, Tensor, Numbers]:
        """(n, 3, h, w) again, the penalty, and numbers for the log."""
        posterior = self.vae.encode(x).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator)
        out = self.vae.decode(posterior.mean + posterior.std * noise).sample
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        return out, self.weight * kl, {"kl": kl}

    def latents(self, x: Tensor) -> Tensor:
        """(n, c, h, w): the means."""
        mean: Tensor = self.vae.encode(x).latent_dist.mean
        return mean

    def numbers(self, z: Tensor) -> dict[str, float]:
        """Nothing beside what every autoencoder is measured by."""
        return {}


class VqAutoencoder(nn.Module):
    """There and back through the nearest entries of a codebook (van den Oord et al. 2017, 1711.00937).

    Each code follows the mean of the latents it stands for (their appendix A.1). One that no latent has chosen
    for a while starts anew at a latent of the batch (Dhariwal et al. 2020, 2005.00341), and so does every code
    at first: left alone, most of a codebook is never used.
    """

    PATIENCE = 50  # steps without use
    MEMORY = 0.95  # of a code, for each latent that it is chosen for
    idle: Tensor

    def __init__(self, shape: AutoencoderShape):
        super().__init__()
        self.vae = VQModel(**_levels(shape), num_vq_embeddings=shape.codes)
        self.vae.quantize.requires_grad_(False)
        self.commitment, self.frozen = shape.commitment, shape.freeze_encoder
        self.register_buffer("idle", torch.full((shape.codes,), self.PATIENCE))  # steps since it was used

    def forward(self, x: Tensor, generator: torch.Generator, settled: bool) -> tuple[Tensor, Tensor, Numbers]:
        """(n, 3, h, w) again, the penalty, and numbers for the log. No code starts anew once `settled`."""
        h = self.vae.encode(x).latents.float()
        with torch.autocast(x.device.type, enabled=False):
            flat = h.permute(0, 2, 3, 1).flatten(0, 2)
            if not (settled or self.frozen):
                self._restart(flat, generator)
            index = torch.cdist(flat, self._book).argmin(1)
            code = self._book[index].view(h.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
            distance = (h - code).square().mean()
            if not self.frozen:
                self._follow(flat, index)
        out = self.vae.decode(h + (code - h).detach(), force_not_quantize=True).sample
        idle = (self.idle > self.PATIENCE // 2).float().mean()
        return out, self.commitment * distance, {"distance": distance, "idle": idle}

    @property
    def _book(self) -> Tensor:
        """(codes, c)."""
        weight: Tensor = self.vae.quantize.embedding.weight
        return weight

    @torch.no_grad()
    def _restart(self, flat: Tensor, generator: torch.Generator) -> None:
        """Codes that wait too long go to latents (m, c) of this batch, as many as there are."""
        dead = (self.idle >= self.PATIENCE).nonzero()[: len(flat), 0]
        self._book[dead] = flat[torch.randperm(len(flat), generator=generator)[: len(dead)]]
        self.idle[dead] = 0

    @torch.no_grad()
    def _follow(self, flat: Tensor, index: Tensor) -> None:
        count = torch.bincount(index, minlength=len(self._book))[:, None]
        mean = torch.zeros_like(self._book).index_add_(0, index, flat) / count.clamp(min=1)
        self._book.lerp_(mean, 1 - self.MEMORY**count)
        self.idle.add_(1)[count[:, 0] > 0] = 0

    def latents(self, x: Tensor) -> Tensor:
        """(n, c, h, w): the nearest codes."""
        nearest: Tensor = self.vae.quantize(self.vae.encode(x).latents)[0]
        return nearest

    def numbers(self, z: Tensor) -> dict[str, float]:
        """How many codes these latents use, and as how many equally used ones they are worth."""
        index = torch.cdist(z.permute(0, 2, 3, 1).flatten(0, 2), self._book).argmin(1)
        share = torch.bincount(index, minlength=len(self._book)) / len(index)
        entropy = torch.special.entr(share).sum()
        return {"codes_used": float((share > 0).sum()), "perplexity": entropy.exp().item()}


REGULARIZERS: dict[str, type[KlAutoencoder] | type[VqAutoencoder]] = {
    "kl": KlAutoencoder,
    "vq": VqAutoencoder,
}

FIXED = 64
"""Held-out scenes of a sheet, by which all sheets of a run are measured."""


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
        rng, held = random.Random("vae sheet"), Composer(config.data, ("test",))
        self.fixed = to_tensor([held.scene(rng).image for _ in range(FIXED)])

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
