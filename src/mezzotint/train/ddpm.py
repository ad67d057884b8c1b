"""An unconditional diffusion model on pixels, as DDPM trains it (Ho et al. 2020, 2006.11239)."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Literal, Self

import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor, nn

from mezzotint.data.subsets import pictures, portrait
from mezzotint.pages.tiles import make_grid
from mezzotint.planning import plan
from mezzotint.request import Request
from mezzotint.train.config import Training
from mezzotint.train.image_tensors import to_images, to_tensor
from mezzotint.train.loop.loop import train
from mezzotint.train.loop.precision import autocast_beside
from mezzotint.train.loop.task import MakesBatches
from mezzotint.train.noise import Noise, sample_plan


class DdpmConfig(Training):
    """`mezzotint train ddpm CONFIG`."""

    data: Path
    subset: str = "faces"
    """A part of the emoji set: faces, animals, insects, ordinary, all."""
    size: int = Field(64, ge=16, multiple_of=8)
    channels: tuple[int, ...] = Field((32, 64, 96, 160), min_length=1)
    attention: tuple[bool, ...] = (False, False, True, True)
    """Whether a level attends, from the largest grid to the smallest."""
    layers: int = Field(1, ge=1)
    groups: int = Field(16, gt=0)
    head_width: int = Field(32, gt=0)
    batch: int = Field(32, gt=0)
    weight_cap: float = Field(30.0, ge=1)
    """Most that a time weighs; 1: plain eps-MSE, as DDPM has it."""
    beta_schedule: Literal["linear", "scaled_linear", "squaredcos_cap_v2"] = "linear"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        halved = 2 ** (len(self.channels) - 1)
        attending = [c for c, a in zip(self.channels, self.attention, strict=False) if a] + [
            self.channels[-1]
        ]
        for fits, said in (
            (len(self.channels) == len(self.attention), "channels and attention have one value a level"),
            (
                self.size % halved == 0,
                f"size must be divisible by {halved}: each level but the last halves it",
            ),
            (not any(c % self.groups for c in self.channels), "channels must be divisible by groups"),
            (not any(c % self.head_width for c in attending), "what attends must be divisible by head_width"),
        ):
            if not fits:
                raise ValueError(said)
        return self


class DdpmTask(MakesBatches):
    """Predict the noise in pictures; fixed pictures at fixed times and noises say how well."""

    def __init__(self, config: DdpmConfig):
        torch.manual_seed(config.seed)
        self.config = config
        self.pictures = pictures(config.data, config.subset, config.size)
        self.module = _network(config)
        self.scheduler = DDPMScheduler(beta_schedule=config.beta_schedule)
        self.noise = Noise(dict(self.scheduler.config))
        self.fixed = self._batch(random.Random("ddpm sheet"), 128)

    def _batch(self, rng: random.Random, count: int) -> Tensor:
        """(n, 3, size, size)."""
        return to_tensor([portrait(rng.choice(self.pictures), rng) for _ in range(count)])

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (n, 3, size, size), uniform times (n,), noise."""
        x0 = self._batch(random.Random(f"ddpm {self.config.seed} {step}"), self.config.batch)
        generator = torch.Generator().manual_seed(step)
        t = torch.randint(0, self.noise.times, (len(x0),), generator=generator)
        return x0, t, torch.randn(x0.shape, generator=generator)

    def loss_of(
        self, module: nn.Module, batch: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, dict[str, float]]:
        """The squared error of eps, weighted by time."""
        error = self._error(module, *batch)
        weight = self.noise.weight(batch[1], self.config.weight_cap).to(error.device)
        return (weight * error).mean(), {"eps_error": error.mean().item()}

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """Of the batch of this step."""
        return self.loss_of(module, self.batch(step))

    def _error(self, module: nn.Module, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        device = next(module.parameters()).device
        return self.noise.error(lambda x, t: module(x.to(device), t.to(device)).sample, x0, eps, t)

    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """Samples of fixed seeds by DDIM in 40 steps; the error of eps on fixed pictures by time."""
        numbers = {}
        with autocast_beside(self.config.loop):
            for t in (50, 200, 500, 800):
                eps = torch.randn(self.fixed.shape, generator=torch.Generator().manual_seed(t))
                error = self._error(module, self.fixed, torch.full((len(eps),), t), eps)
                numbers[f"eps_{t}"] = error.mean().item()
        return make_grid(to_images(self._sample(module, 32))), numbers

    def _sample(self, module: nn.Module, count: int) -> Tensor:
        table = plan(Request(steps=40, sampler="ddim", guidance="none"), self.noise.schedule)
        shape = (count, 3, self.config.size, self.config.size)
        device = next(module.parameters()).device
        fresh = partial(torch.randn, shape, generator=torch.Generator().manual_seed(0))
        return sample_plan(table, lambda x, t: module(x.to(device), t).sample, fresh)

    def save(self, module: nn.Module, folder: Path) -> None:
        """A diffusers folder, fp16, that `DDPMPipeline.from_pretrained` opens."""
        assert isinstance(module, UNet2DModel)
        DDPMPipeline(unet=module, scheduler=self.scheduler).to(dtype=torch.float16).save_pretrained(folder)


def _network(config: DdpmConfig) -> UNet2DModel:
    down = tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in config.attention)
    return UNet2DModel(
        sample_size=config.size, block_out_channels=config.channels, layers_per_block=config.layers,
        down_block_types=down, up_block_types=tuple(b.replace("Down", "Up") for b in reversed(down)),
        norm_num_groups=config.groups, attention_head_dim=config.head_width,
    )  # fmt: skip


def train_ddpm(config: DdpmConfig) -> None:
    """Train the model that a configuration describes."""
    train(DdpmTask(config), config.loop, config.out)
