"""The training of a bundled text-to-image model in stages: each goes on from the weights of the one before."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers.models import AutoencoderKL
from pydantic import Field

from mezzotint.config import Config
from mezzotint.data.scenes import CanonicalComposer
from mezzotint.data.writing import new_folder
from mezzotint.train.diffusion import DiffusionConfig, DiffusionTask
from mezzotint.train.image_tensors import to_tensor
from mezzotint.train.latents import normalize_latents
from mezzotint.train.loop.loop import train
from mezzotint.train.saving import forget_paths

FINISHED = "finished"
"""A file in a stage's folder once it has met its bar or seen its last step."""
TRIED_STEPS = 4
"""Of a stage, timed to tell how long it will take on this machine."""


class CurriculumConfig(Config):
    """`mezzotint train bundle CONFIG`: `base` holds what all stages share, a stage what is its own."""

    out: Path
    vae: Path
    """The autoencoder; the stages use a copy whose latents are normalized by channel, in `out/vae`."""
    base: dict[str, Any]
    stages: dict[str, dict[str, Any]] = Field(min_length=1)

    def stage_configs(self, where: str) -> dict[str, DiffusionConfig]:
        """The configuration of each stage, in `out/NAME`. ConfigError names the stage that is wrong."""
        before: Path | None = self.base.get("start")
        checked = {}
        for name, own in self.stages.items():
            loop = {**self.base.get("loop", {}), **own.get("loop", {})}
            table = {**self.base, **own, "loop": loop, "vae": self.out / "vae", "out": self.out / name}
            checked[name] = DiffusionConfig.from_mapping(
                {**table, "start": own.get("start", before)}, f"{where}: stage {name}"
            )
            before = self.out / name / "model" / "unet"
        return checked


def train_curriculum(
    config: CurriculumConfig,
    stages: dict[str, DiffusionConfig],
    minutes: float = 0.0,
    say: Callable[[str], None] = print,
) -> None:
    """Train the stages that are not finished, in order; `minutes`: stop after so many, 0: at the end."""
    began = time.monotonic()
    if not (config.out / "vae").exists():
        _write_normalized(config.vae, next(iter(stages.values())).data, config.out / "vae")
    for name, stage in _remaining_stages(stages):
        left = minutes - (time.monotonic() - began) / 60
        if minutes and left <= 0:
            return
        loop = stage.loop.model_copy(update={"minutes": left if minutes else 0.0})
        task = DiffusionTask(stage.model_copy(update={"loop": loop}))
        steps = task.config.loop.steps
        objects = f"{len(task.names)} objects, {steps} steps of {stage.batch}"
        say(f"stage {name}: {objects}: {_estimate(task, steps)}")
        if train(task, task.config.loop, stage.out):
            (stage.out / FINISHED).touch()


def _write_normalized(source: Path, data: Path, folder: Path) -> None:
    """The autoencoder with its latents normalized over objects on white; in float32, as it is trained with."""
    vae = AutoencoderKL.from_pretrained(source).float().eval()
    composer = CanonicalComposer(data)
    dice = random.Random(0)
    scenes = [
        composer.scene("plain", name, dice) for name in composer.names[:: 1 + len(composer.names) // 256]
    ]
    normalize_latents(vae, to_tensor([composer.render(scene) for scene in scenes]))
    with new_folder(folder) as part:
        vae.save_pretrained(part)
        forget_paths(part)


def _remaining_stages(stages: dict[str, DiffusionConfig]) -> Iterator[tuple[str, DiffusionConfig]]:
    return ((name, config) for name, config in stages.items() if not (config.out / FINISHED).exists())


def _estimate(task: DiffusionTask, steps: int) -> str:
    """How long so many steps take here, by trying a few."""
    began, memory = time.monotonic(), task.memory()
    for step in range(TRIED_STEPS):
        loss, _ = task.loss(task.module, step)
        torch.autograd.backward(loss)
        task.module.zero_grad()
    task.recall(memory)
    hours = steps * (time.monotonic() - began) / TRIED_STEPS / 3600
    span = f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"
    return f"some {span} on this machine"
