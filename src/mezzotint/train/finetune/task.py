"""The task of every fine-tuning: noise pictures, ask the subject, and show and measure it after each epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor, nn

from mezzotint.errors import ConfigError
from mezzotint.pages.tiles import make_grid
from mezzotint.train.finetune.config import FinetuneConfig
from mezzotint.train.finetune.lora import without_lora
from mezzotint.train.finetune.validation import DomainDistances, ValidationSet, by_bin
from mezzotint.train.loop.task import MakesBatches, SkipsSheets, TrainsPart, Validates
from mezzotint.train.noise import Noise, draw_noise, squared_errors

SHOWN, MEASURED, BEFORE = 0, 10_000, 20_000
"""First seeds: of a sheet, of samples that are measured, of what the model drew before."""


Batch = tuple[Tensor, Any, Tensor, Tensor]


class FinetunedModel(Protocol):
    """What is fine-tuned: its pictures as the network takes them, and what the network makes of them."""

    module: nn.Module
    noise: Noise
    hflip: bool

    def training_batch(self, step: int) -> tuple[Tensor, Any]:
        """x0 (n, c, h, w) and what goes with it, of a batch: a function of seed and step."""

    def held_out_batch(self, indices: Sequence[int]) -> tuple[Tensor, Any]:
        """The same of held-out pictures, as they are."""

    def ask(self, module: nn.Module, x: Tensor, t: Tensor, condition: Any) -> Tensor:
        """The network's output for noised pictures, on its own device."""

    def draw(self, module: nn.Module, seeds: Sequence[int], reference: bool = False) -> list[Image.Image]:
        """A sample a seed, of the sheet's prompts in turn; where `reference`, of captions of the data."""

    def save(self, module: nn.Module, run: Path) -> None:
        """What was learned, into a folder of the run's: `model`, `lora` or `word`."""


class FinetuneTask(MakesBatches, TrainsPart, Validates, SkipsSheets):
    """What the loop trains."""

    def __init__(
        self,
        config: FinetuneConfig,
        subject: FinetunedModel,
        count: int,
        held: int,
        domains: DomainDistances | None,
        after: Callable[[], object] = lambda: None,
    ):
        self.config, self.subject, self.domains = config, subject, domains
        self.module, self.after = subject.module, after
        self.times = times_of(config, subject.noise.times)
        self.steps_per_epoch = epoch_steps(config, count)
        self.fixed = ValidationSet(
            subject.noise, subject.held_out_batch, range(held), config.seed, 4 * config.batch
        )

    def batch(self, step: int) -> Batch:
        """Pictures, what goes with them, times all alike often, and noise: a function of seed and step.

        Where LoRA is held to the model before it, half of the times are those that are not learned.
        """
        x0, condition = self.subject.training_batch(step)
        chance = generator_for("noise", self.config.seed, step)
        t = torch.randint(*self.times, (len(x0),), generator=chance)
        eps = draw_noise(x0.shape, self.config.offset_noise, chance)
        if self.config.prior_loss_weight:
            t = torch.where(
                torch.rand(len(x0), generator=chance) < 0.5, self._other_times(len(x0), chance), t
            )
        return x0, condition, t, eps

    def loss_of(self, module: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The squared error of what the model predicts, weighted by time; and as it is, by time."""
        noise, (x0, condition, t, eps) = self.subject.noise, batch
        x, target = noise.add_noise(x0, eps, t), noise.target(x0, eps, t)
        weight = noise.weight(t, self.config.weight_cap)
        if (prior := (t < self.times[0]) | (t >= self.times[1])).any():
            with without_lora(module):
                before = self.subject.ask(module, x[prior], t[prior], condition[prior])
            target, weight[prior] = target.clone(), self.config.prior_loss_weight
            target[prior] = before.to(target)
        errors = squared_errors(self.subject.ask(module, x, t, condition), target)
        return (weight.to(errors.device) * errors).mean(), by_bin(errors.detach(), noise.bin(t))

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """Of the batch of this step."""
        return self.loss_of(module, self.batch(step))

    def changes(self, name: str) -> bool:
        """Whether a weight learns: of LoRA, that alone."""
        return not self.config.lora or "lora_" in name

    def validate(self, module: nn.Module) -> dict[str, float]:
        """The error on held-out pictures, and distances to the new and the old ones."""
        with self._precision(module):
            found = self.fixed(self.subject.ask, module)
            if self.domains:
                seeds = range(MEASURED, MEASURED + self.config.kid_samples)
                found |= self.domains(self.subject.draw(module, seeds, reference=True))
        return found

    def shows(self, step: int) -> bool:
        """Whether samples are drawn at this step: before the first one only where that is cheap, or asked for."""
        return step > 0 or self.config.baseline is not False

    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """Samples from fixed seeds."""
        with self._precision(module):
            return make_grid(self.subject.draw(module, range(SHOWN, SHOWN + self.config.shown))), {}

    def save(self, module: nn.Module, folder: Path) -> None:
        """The finished model; `folder` is the run's `model`."""
        self.subject.save(module, folder.parent)

    def _other_times(self, count: int, chance: torch.Generator) -> Tensor:
        """(count,) times that are not learned."""
        first, end = self.times
        t = torch.randint(self.subject.noise.times - (end - first), (count,), generator=chance)
        return torch.where(t < first, t, t + end - first)

    def _precision(self, module: nn.Module) -> torch.autocast:
        return precision(self.config, device_of(module))


def times_of(config: FinetuneConfig, known: int) -> tuple[int, int]:
    """The first time that is learned, and the one after the last. ConfigError where the model has none such, or all are
    learned and some should be held."""
    first, end = config.min_timestep, config.max_timestep or known
    if not first < end <= known:
        raise ConfigError(
            f"min_timestep and max_timestep are times of the model, 0 to {known}, not {first} to {end}"
        )
    if config.prior_loss_weight and end - first == known:
        raise ConfigError(
            "prior_loss_weight holds the times that are not learned: say which with max_timestep"
        )
    return first, end


def epoch_steps(config: FinetuneConfig, count: int) -> int:
    """Steps of the optimizer until each of so many pictures was visited, as often as an epoch does."""
    return -(-count * config.repeats // (config.batch * config.accumulate))


def precision(config: FinetuneConfig, device: torch.device) -> torch.autocast:
    """What measuring computes in: as training does, once that is chosen."""
    kind = torch.float16 if config.precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, kind, enabled=config.precision in ("bf16", "fp16"))


def device_of(module: nn.Module) -> torch.device:
    """Where its weights are."""
    return next(module.parameters()).device


def generator_for(*parts: object) -> torch.Generator:
    """A generator of these alone."""
    digest = hashlib.sha256(" ".join(map(str, parts)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
