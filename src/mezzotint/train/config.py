"""What a training run is told: YAML files, checked, unknown keys refused with the nearest known name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from mezzotint.config import Config, present_precision
from mezzotint.errors import ConfigError
from mezzotint.precision import Precision


class LoopConfig(Config):
    """How long, how fast, and how often to look."""

    steps: int = Field(0, gt=0)
    """Of the optimizer; in place of it, `epochs`."""
    epochs: int = Field(0, gt=0)
    """Where the task has epochs."""
    minutes: float = 0.0
    """Stop this run (not the training) after so many minutes; 0: at the last step."""
    accumulate: int = Field(1, ge=1)
    """Batches whose gradients are averaged into one step."""
    lr: float = Field(1e-3, gt=0)
    muon_lr: float = Field(0.02, ge=0)
    """Of matrices and convolutions; 0: AdamW for all."""
    weight_decay: float = 0.0
    scheduler: Literal["constant", "cosine", "linear"] = "constant"
    """How the rates go after the warmup; the latter two end at zero."""
    warmup: int = 100
    cooldown: int = 0
    """The last so many steps go linearly to a twentieth of the rate."""
    ema: float = Field(0.999, ge=0, lt=1)
    clip: float = 1.0
    """The largest norm of the gradient; 0: any."""
    precision: Precision = "auto"
    """auto: bf16 where a self-test of this network on this machine finds it close and faster, else fp32."""
    gradient_checkpointing: bool = False
    """Compute activations twice in place of keeping them."""
    ahead: int = Field(2, ge=0)
    """Batches prepared in a thread while the network works, where the task can."""
    log_every: int = Field(20, ge=1)
    save_minutes: float = 4.0
    """0: after every step."""
    keep: int = Field(2, ge=1)
    """The last so many checkpoints."""
    sheet_minutes: float = 5.0
    """Where the task has no epochs; else there is a sheet after each."""

    _present = model_validator(mode="before")(present_precision)

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if bool(self.steps) == bool(self.epochs):
            raise ValueError("say how many steps, or how many epochs")
        return self

    def in_steps(self, steps_per_epoch: int) -> Self:
        """The same in steps. ConfigError where epochs are asked of a task that has none."""
        if self.steps:
            return self
        if not steps_per_epoch:
            raise ConfigError("this training has no epochs; give loop.steps in place of loop.epochs")
        return self.model_copy(update={"steps": self.epochs * steps_per_epoch})

    def rate(self, step: int) -> float:
        """The factor on every learning rate at this step."""
        rising = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        left = (self.steps - step) / self.cooldown if self.cooldown else 1.0
        return rising * self._decay(step) * max(0.05, min(1.0, left))

    def _decay(self, step: int) -> float:
        done = min(1.0, max(0.0, (step - self.warmup) / max(1, self.steps - self.warmup)))
        decays = {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}
        return decays[self.scheduler]


class Training(Config):
    """What every training is told, beside what is its own."""

    out: Path
    seed: int = 0
    loop: LoopConfig
