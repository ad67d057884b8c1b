"""Fine-tuning of a text-to-image model: latents and captions in, guided samples out, whatever it is that learns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from accelerate import PartialState
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from mezzotint.data.encoded import LatentFolder
from mezzotint.data.pictures.folder import PictureFolder
from mezzotint.models.disk.bundle import Bundle
from mezzotint.models.networks import torch_vae
from mezzotint.planning import plan
from mezzotint.request import Request
from mezzotint.train.finetune.config import FinetuneConfig
from mezzotint.train.finetune.data import FinetuneData
from mezzotint.train.finetune.task import generator_for
from mezzotint.train.image_tensors import to_images
from mezzotint.train.noise import Noise, SeededNoise, sample_plan, with_schedule

_AT_ONCE = 16


class Learner(Protocol):
    """What learns: a module, and how it takes captions."""

    module: nn.Module

    def condition(self, words: Sequence[str]) -> Tensor:
        """(n, …) what goes with pictures of these captions."""

    def ask(self, module: nn.Module, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """The UNet's output for noised latents, on the module's device."""

    def save(self, module: nn.Module, run: Path) -> None:
        """What was learned."""


class FinetunedTextModel:
    """Pictures as latents from disk, with their captions; some are left out, for classifier-free guidance."""

    def __init__(self, config: FinetuneConfig, bundle: Bundle, data: FinetuneData, learner: Learner):
        self.config, self.learner, self.hflip = config, learner, bool(config.hflip)
        self.module, self.ask, self.save = learner.module, learner.ask, learner.save
        unet, vae, _ = bundle.architectures()
        self.noise = Noise(with_schedule(bundle.scheduler, config.schedule))
        self._device = PartialState().device
        self._vae, self._scale = torch_vae(bundle.vae).to(self._device), vae.scaling_factor
        self.shape = (unet.latent_channels, data.size // vae.factor, data.size // vae.factor)
        about = f"{bundle.vae.digest} mean {self._scale}"
        self._learned, self._held = (self._latents(part, about) for part in (data.learned, data.held))
        request = Request(steps=config.sample_steps, sampler=config.sampler or "dpmpp-2m")
        self._plan = plan(request, self.noise.schedule)
        self.prompts = [
            config.format_caption(caption) for caption in config.prompts or data.words(config.shown)
        ]
        self._reference = [config.format_caption(caption) for caption in data.words(config.kid_samples)]

    def training_batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Latents (n, c, h, w) and what goes with them."""
        config = self.config
        found = self._learned.batch(config.seed, step, config.batch, hflip=self.hflip)
        gone = torch.rand(config.batch, generator=generator_for("drop", config.seed, step)) < config.drop
        words = [
            "" if lost else config.format_caption(said)
            for lost, said in zip(gone, found.captions, strict=True)
        ]
        return torch.from_numpy(found.latents), self.learner.condition(words)

    def held_out_batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The same of held-out pictures, each with its caption."""
        found = [self._held.batch(0, index, 1, hflip=False) for index in indices]
        latents = torch.from_numpy(np.concatenate([one.latents for one in found]))
        return latents, self.learner.condition([self.config.format_caption(one.captions[0]) for one in found])

    def draw(self, module: nn.Module, seeds: Sequence[int], reference: bool = False) -> list[Image.Image]:
        """With classifier-free guidance."""
        words = self._reference if reference else self.prompts
        pictures: list[Image.Image] = []
        for start in range(0, len(seeds), _AT_ONCE):
            part = range(start, min(start + _AT_ONCE, len(seeds)))
            condition = self.learner.condition([""] * len(part) + [words[i % len(words)] for i in part])
            output = self._cfg_output(module, condition)
            fresh = SeededNoise(self.shape, seeds[part.start : part.stop])
            pictures += self._decode(sample_plan(self._plan, output, fresh))
        return pictures

    def _cfg_output(self, module: nn.Module, condition: Tensor) -> Callable[[Tensor, float], Tensor]:
        """The first half of the condition is without words."""

        def output(x: Tensor, t: float) -> Tensor:
            times = torch.full((2 * len(x),), t)
            free, told = self.ask(module, torch.cat([x, x]), times, condition).float().chunk(2)
            return free + self.config.guidance * (told - free)

        return output

    @torch.no_grad()
    def _decode(self, latents: Tensor) -> list[Image.Image]:
        with torch.autocast(self._device.type, enabled=False):
            made = [self._vae.decode(x[None].to(self._device) / self._scale).sample for x in latents]
        return [picture for one in made for picture in to_images(one)]

    def _latents(self, part: PictureFolder, about: str) -> LatentFolder:
        return LatentFolder(part, about, self.shape, self._encode)

    @torch.no_grad()
    def _encode(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """(1, c, h, w): the mean, scaled as the denoiser knows it."""
        with torch.autocast(self._device.type, enabled=False):
            mean: Tensor = self._vae.encode(torch.from_numpy(pixels).to(self._device)).latent_dist.mean
        return np.asarray((mean * self._scale).cpu())
