"""Latent diffusion: a UNet with cross-attention learns to predict v (2202.00512) from canonical scenes."""

from __future__ import annotations

import math
import random
import shutil
from functools import partial
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from diffusers.models import UNet2DConditionModel
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor, nn

from mezzotint.data.scenes import CanonicalComposer, CanonicalScene, Kind, known_words
from mezzotint.data.words import ORDINARY
from mezzotint.pages.tiles import make_grid
from mezzotint.planning import plan
from mezzotint.request import Request
from mezzotint.train.config import Training
from mezzotint.train.image_tensors import to_images
from mezzotint.train.latents import SceneCache, SceneEncoders
from mezzotint.train.loop.loop import train
from mezzotint.train.loop.task import Stateful, StopsEarly
from mezzotint.train.noise import Noise, sample_plan
from mezzotint.train.saving import begin_with, forget_paths

SCHEDULER = {
    "_class_name": "DDIMScheduler", "num_train_timesteps": 1000, "beta_schedule": "scaled_linear",
    "beta_start": 0.00085, "beta_end": 0.018, "prediction_type": "v_prediction", "timestep_spacing": "trailing",
    "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1,
}  # fmt: skip
"""Noisier at the end than Stable Diffusion's (alpha 0.023, not 0.068): the color of a whole picture follows the prompt."""
PROMPTS = (
    "a rose", "a cat", "a rocket", "a castle", "an owl", "a red apple", "a sailboat", "a robot", "a butterfly", "a tiger",
    "a house on a blue background", "a dog on a green background", "a cat on the moon", "a racing car in the desert",
    "a penguin in the snow", "a whale on the sea at night", "two cats", "three red apples", "four mushrooms",
    "a cat and a dog", "a rose and a guitar", "a castle, flat style", "a lion, noto style",
    "a sunset over the sea with mountains",
)  # fmt: skip
TIMES = (100, 300, 500, 700, 950)
"""Times at which the error of x0 is measured."""
_LOGIT_NORMAL = (0.5, 1.2)
"""Mean and deviation of the logit of t / 1000: an eighth of the times above 870, an eighth below 290."""


class DiffusionConfig(Training):
    """`mezzotint train diffusion CONFIG`."""

    data: Path
    vae: Path
    text: Path
    cache: Path
    """Where latents and text states are kept; safe to delete between runs."""
    objects: Literal["ordinary", "all"] = "all"
    kinds: dict[Kind, float] = Field({"plain": 1.0}, min_length=1)
    """How often each kind of scene is drawn, in any unit."""
    ordinary_kinds: dict[Kind, float] = Field(default_factory=dict)
    """The same for the share of `ordinary`; empty: as `kinds`."""
    ordinary_variety: int = Field(0, ge=0)
    """As `variety`, of ordinary things."""
    ordinary: float = Field(0.0, ge=0, le=1)
    """Share of scenes whose object is an ordinary thing; the others are of any object."""
    variety: int = Field(0, ge=0)
    """How many backgrounds, partners and styles an object meets that is not ordinary; 0: all."""
    exposures: float = Field(0.0, ge=0)
    """How often each object is to be seen, on average; in place of `loop.steps`."""
    start: Path | None = None
    """A UNet folder to begin with in place of random weights."""
    channels: tuple[int, ...] = (32, 96, 160)
    attention: tuple[bool, ...] = (False, True, True)
    """Which resolutions, from the finest, have self-attention and cross-attention."""
    layers: int = 1
    heads: int = 4
    groups: int = 32
    batch: int = Field(32, gt=0)
    drop: float = Field(0.1, ge=0, le=1)
    """Share of captions left out, for classifier-free guidance."""
    behind: float = Field(0.5, ge=0, le=1)
    """Share of scenes whose object is chosen by its own error, so that those that are behind are seen more often."""
    stop_at: float = Field(0.0, ge=0)
    """The training ends once the mean error of x0 on fixed scenes is below; 0: at its last step."""

    @model_validator(mode="before")
    @classmethod
    def _count_steps(cls, given: object) -> object:
        """A placeholder, so that a loop without steps passes; `lasting` puts in the number."""
        if isinstance(given, dict) and given.get("exposures") and isinstance(given.get("loop"), dict):
            given = {**given, "loop": {"steps": 1, **given["loop"]}}
        return given

    @model_validator(mode="after")
    def _match(self) -> Self:
        if len(self.attention) != len(self.channels):
            raise ValueError("attention needs an entry for each of the channels")
        return self

    def with_steps(self, objects: int) -> Self:
        """The same with as many steps as the exposures take."""
        if not self.exposures:
            return self
        steps = math.ceil(self.exposures * objects / self.batch)
        return self.model_copy(update={"loop": self.loop.model_copy(update={"steps": steps})})


class DiffusionTask(Stateful, StopsEarly):
    """Denoise cached latents; fixed scenes at fixed times and noises say how well."""

    def __init__(self, config: DiffusionConfig):
        torch.manual_seed(config.seed)
        self.encoders = SceneEncoders.open(config.vae, config.text)
        self.composer = CanonicalComposer(config.data)
        if config.objects == "ordinary":
            self.composer.names = [name for name in ORDINARY if name in self.composer.by_name]
        self.names = self.composer.names
        self._ordinary = np.isin(self.names, ORDINARY)
        self.composer.partners = [name for name in ORDINARY if name in self.names] or self.names
        self.config = config.with_steps(len(self.names))
        side = 128 // 2 ** (len(self.encoders.vae.config.block_out_channels) - 1)
        self.module = build_unet(self.config, side, self.encoders.text.config.hidden_size)
        if config.start:
            begin_with(self.module, config.start)
        self.cache = SceneCache(config.cache, self.composer, self.encoders, side)
        self.nothing = self.encoders.states([""])
        self.noise = Noise(SCHEDULER)
        self.errors = np.ones(len(self.names))  # of each object, against the mean at the same times
        self._by_time = np.ones(10)
        self.held = self.cache.batch(self._scenes(np.random.default_rng(0), 256)[1])

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """The squared error of v."""
        rng = np.random.default_rng((self.config.seed, step))
        generator = torch.Generator().manual_seed(step)
        objects, scenes = self._scenes(rng, self.config.batch)
        x0, text = self.cache.batch(scenes)
        dropped = torch.from_numpy(rng.random(len(x0)) < self.config.drop)
        text = torch.where(dropped[:, None, None], self.nothing, text)
        t = self._times(rng, len(x0))
        error = self._error(module, x0, text, torch.from_numpy(t), torch.randn(x0.shape, generator=generator))
        self._remember(objects, t, error.detach().numpy(), dropped.numpy())
        return error.mean(), {}

    def memory(self) -> dict[str, list[float]]:
        """What a checkpoint keeps beside the weights."""
        return {"errors": self.errors.tolist(), "by_time": self._by_time.tolist()}

    def recall(self, memory: dict[str, list[float]]) -> None:
        """Take back what a checkpoint kept."""
        self.errors, self._by_time = np.array(memory["errors"]), np.array(memory["by_time"])

    def _scenes(self, rng: np.random.Generator, n: int) -> tuple[NDArray[np.int64], list[CanonicalScene]]:
        """Objects, by number, and a scene with each."""
        shares = self.config.behind * self.errors / self.errors.sum()
        shares += (1 - self.config.behind) / len(self.errors)
        dice = random.Random(int(rng.integers(2**63)))
        known = np.flatnonzero(self._ordinary)
        objects, scenes = np.empty(n, np.int64), []
        for i in range(n):
            familiar = bool(len(known)) and rng.random() < self.config.ordinary
            objects[i] = rng.choice(known) if familiar else rng.choice(len(shares), p=shares)
            kinds = (familiar and self.config.ordinary_kinds) or self.config.kinds
            [kind] = dice.choices(list(kinds), list(kinds.values()))
            limits = self.config.variety, self.config.ordinary_variety
            variety = limits[int(self._ordinary[objects[i]])]
            scenes.append(self.composer.scene(kind, self.names[objects[i]], dice, variety))
        return objects, scenes

    def _times(self, rng: np.random.Generator, n: int) -> NDArray[np.int64]:
        share = 1 / (1 + np.exp(-rng.normal(*_LOGIT_NORMAL, n)))
        times: NDArray[np.int64] = (share * self.noise.times).astype(np.int64)
        return times.clip(max=self.noise.times - 1)

    def _remember(
        self,
        objects: NDArray[np.int64],
        t: NDArray[np.int64],
        error: NDArray[np.float32],
        dropped: NDArray[np.bool_],
    ) -> None:
        """Each object's error, as a share of what is usual at its time; running means."""
        for which, time, value in zip(
            objects[~dropped], t[~dropped] * 10 // self.noise.times, error[~dropped], strict=True
        ):
            self._by_time[time] += 0.01 * (value - self._by_time[time])
            self.errors[which] += 0.2 * (min(4.0, value / self._by_time[time]) - self.errors[which])

    def _error(self, module: nn.Module, x0: Tensor, text: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        return self.noise.error(lambda x, t: module(x, t, encoder_hidden_states=text).sample, x0, eps, t)

    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """Guided samples of fixed prompts; on fixed scenes, by time, the error of x0."""
        x0, text = self.held
        numbers = {}
        for t in TIMES:
            eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(t))
            times = torch.full((len(x0),), t)
            parts = (slice(i, i + 64) for i in range(0, len(x0), 64))
            error = torch.cat([self._error(module, x0[p], text[p], times[p], eps[p]) for p in parts])
            numbers[f"x0_{t}"] = ((1 - self.noise.bars[t]) * error.mean()).item()
        numbers["x0_mean"] = float(np.mean(list(numbers.values())))
        latents = self._sample(module, list(PROMPTS), scale=3.0, steps=20)
        vae = self.encoders.vae
        return make_grid(to_images(vae.decode(latents / vae.config.scaling_factor).sample), 8), numbers

    def is_good_enough(self, numbers: dict[str, float]) -> bool:
        """Whether a sheet's numbers meet the bar of this training."""
        return numbers["x0_mean"] < self.config.stop_at

    def _sample(self, module: nn.Module, prompts: list[str], scale: float, steps: int) -> Tensor:
        """(n, 4, h, w) latents with classifier-free guidance."""
        table = plan(Request(steps=steps, sampler="dpmpp-2m"), self.noise.schedule)
        text = torch.cat([self.nothing.expand(len(prompts), -1, -1), self.encoders.states(prompts)])
        shape = (len(prompts), *self.held[0].shape[1:])

        def guided_output(x: Tensor, t: float) -> Tensor:
            out: Tensor = module(torch.cat([x, x]), t, encoder_hidden_states=text).sample.float()
            uncond, cond = out.chunk(2)
            return uncond + scale * (cond - uncond)

        return sample_plan(
            table, guided_output, partial(torch.randn, shape, generator=torch.Generator().manual_seed(0))
        )

    def save(self, module: nn.Module, folder: Path) -> None:
        """A diffusers folder, fp16, that `StableDiffusionPipeline.from_pretrained` opens."""
        assert isinstance(module, UNet2DConditionModel)
        pipeline = StableDiffusionPipeline(
            vae=self.encoders.vae, text_encoder=self.encoders.text, tokenizer=self.encoders.tokenizer, unet=module,
            scheduler=DDIMScheduler.from_config(SCHEDULER), safety_checker=None, feature_extractor=None,
            requires_safety_checker=False,
        )  # fmt: skip
        pipeline.to(dtype=torch.float16).save_pretrained(folder)
        forget_paths(folder)
        # vocab.json and merges.txt: every reader of the format knows these, and Mezzotint reads only them.
        shutil.rmtree(folder / "tokenizer")
        shutil.copytree(self.config.text / "tokenizer", folder / "tokenizer")
        known_words(self.composer.rows, self.names).write(folder)


def build_unet(config: DiffusionConfig, side: int, width: int) -> UNet2DConditionModel:
    """The network for latents (4, side, side) and text states (77, width)."""
    down = tuple("CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in config.attention)
    up = tuple("CrossAttnUpBlock2D" if attends else "UpBlock2D" for attends in reversed(config.attention))
    return UNet2DConditionModel(
        sample_size=side, in_channels=4, out_channels=4, block_out_channels=config.channels, layers_per_block=config.layers,
        down_block_types=down, up_block_types=up, cross_attention_dim=width, attention_head_dim=config.heads,
        norm_num_groups=config.groups,
    )  # fmt: skip


def train_diffusion(config: DiffusionConfig) -> None:
    """Train the UNet that a configuration describes."""
    task = DiffusionTask(config)
    train(task, task.config.loop, config.out)
