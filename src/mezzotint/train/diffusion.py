"""Latent diffusion: a UNet with cross-attention learns to predict v (2202.00512)."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from diffusers.models import UNet2DConditionModel
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from mezzotint.data.compose import Composer
from mezzotint.pages.tiles import tiled
from mezzotint.planning import plan
from mezzotint.request import Request
from mezzotint.train.config import Training
from mezzotint.train.latents import Encoders, LatentStore
from mezzotint.train.noise import Noise, sampled
from mezzotint.train.running.loop import train
from mezzotint.train.saving import begin_with, forget_paths
from mezzotint.train.sheets import shown

SCHEDULER = {
    "_class_name": "DDIMScheduler", "num_train_timesteps": 1000, "beta_schedule": "scaled_linear",
    "beta_start": 0.00085, "beta_end": 0.018, "prediction_type": "v_prediction", "timestep_spacing": "trailing",
    "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1,
}  # fmt: skip
"""Noisier at the end than Stable Diffusion's (alpha 0.023, not 0.068): the color of a whole picture follows the prompt."""

PROMPTS = (
    "a red rose", "a cat", "a dog on a blue background", "a racing car in the desert", "a cat on the moon",
    "a blue butterfly", "three red apples", "a kitten", "an automobile at night", "a rocket in space",
    "a cat and a dog", "a beautiful sunset above sea and mountains", "a castle, flat style", "a pizza on a green background",
    "a house in the snow", "a green dragon", "an owl, 3d style", "a sailboat on the ocean at sunset",
)  # fmt: skip
_LOGIT_NORMAL = (0.5, 1.2)
"""Mean and deviation of the logit of t / 1000: an eighth of the times above 870, an eighth below 290."""


class DiffusionConfig(Training):
    """`mezzotint train diffusion CONFIG`."""

    data: Path
    vae: Path
    text: Path
    latents: Path
    scenes: int = Field(60_000, ge=1)
    ordinary: float = Field(0.0, ge=0, le=1)
    """Share of objects that are ordinary things (data/ordinary.py), for the last part of a training; kept latents must
    have been made with the same share."""
    simple: float = Field(0.0, ge=0, le=1)
    """Share of scenes that are one ordinary thing in the middle; kept latents likewise."""
    start: Path | None = None
    """A UNet folder to begin with in place of random weights."""
    channels: tuple[int, ...] = (64, 128, 192)
    layers: int = 1
    heads: int = 4
    groups: int = 32
    batch: int = Field(64, gt=0)
    drop: float = Field(0.1, ge=0, le=1)
    """Share of captions left out, for classifier-free guidance."""
    times: Literal["uniform", "logit-normal"] = "uniform"
    """How often each time is trained: all alike, or the middle, where shapes are decided, more often (2403.03206)."""
    gamma: float = Field(0.0, ge=0)
    """Of min-SNR weights; 0: all times weigh the same in v, and the layout of pictures is learned sooner."""


class DiffusionTask:
    """Denoise cached latents; held-out latents at fixed times and noises say how well."""

    def __init__(self, config: DiffusionConfig):
        torch.manual_seed(config.seed)
        self.config = config
        self.encoders = Encoders.open(config.vae, config.text)
        width = self.encoders.text.config.hidden_size
        side = 128 // 2 ** (len(self.encoders.vae.config.block_out_channels) - 1)
        self.module = UNet2DConditionModel(
            sample_size=side, in_channels=4, out_channels=4, block_out_channels=config.channels, layers_per_block=config.layers,
            down_block_types=("CrossAttnDownBlock2D",) * len(config.channels),
            up_block_types=("CrossAttnUpBlock2D",) * len(config.channels), cross_attention_dim=width,
            attention_head_dim=config.heads, norm_num_groups=config.groups,
        )  # fmt: skip
        if config.start:
            begin_with(self.module, config.start)
        open_ = self.encoders
        self.store = LatentStore(
            config.latents,
            config.scenes,
            config.seed,
            lambda: Composer(config.data, ordinary=config.ordinary, simple=config.simple),
            open_,
        )
        held = LatentStore(config.latents / "held", 500, 1, lambda: Composer(config.data, ("test",)), open_)
        self.held = held.batch(np.arange(240))
        self.nothing = self.encoders.states([""])
        self.noise = Noise(SCHEDULER)

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """The squared error of v, weighted by time."""
        rng = np.random.default_rng((self.config.seed, step))
        generator = torch.Generator().manual_seed(step)
        x0, text = self.store.batch(rng.integers(0, self.store.size, self.config.batch))
        dropped = torch.from_numpy(rng.random(len(x0)) < self.config.drop)
        text = torch.where(dropped[:, None, None], self.nothing, text)
        t = torch.from_numpy(self._times(rng, len(x0)))
        error = self._error(module, x0, text, t, torch.randn(x0.shape, generator=generator))
        return (self._weight(self.noise.bars[t]) * error).mean(), {"v_error": error.mean().item()}

    def _times(self, rng: np.random.Generator, n: int) -> NDArray[np.int64]:
        if self.config.times == "uniform":
            return rng.integers(0, self.noise.times, n)
        share = 1 / (1 + np.exp(-rng.normal(*_LOGIT_NORMAL, n)))
        return (share * self.noise.times).astype(np.int64)

    def _weight(self, bar: Tensor) -> Tensor:
        """min(SNR, gamma) / (SNR + 1), for the squared error of v (2303.09556)."""
        if not self.config.gamma:
            return torch.ones_like(bar)
        snr = bar / (1 - bar)
        return snr.clamp(max=self.config.gamma) / (snr + 1)

    def _error(self, module: nn.Module, x0: Tensor, text: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        return self.noise.error(lambda x, t: module(x, t, encoder_hidden_states=text).sample, x0, eps, t)

    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """Guided samples of fixed prompts; on held-out pairs, by time, the error of x0 and by how much another picture's
        caption makes it larger, which says how much the network reads."""
        x0, text = self.held
        numbers = {}
        with torch.autocast("cpu", torch.bfloat16):
            for t in (100, 300, 500, 700, 950):
                eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(t))
                times = torch.full((len(x0),), t)
                right = self._error(module, x0, text, times, eps).mean()
                numbers[f"x0_{t}"] = ((1 - self.noise.bars[t]) * right).item()
                if t >= 500:
                    wrong = self._error(module, x0, text.roll(1, 0), times, eps).mean()
                    numbers[f"read_{t}"] = (wrong / right - 1).item()
        latents = self._sample(module, list(PROMPTS), scale=4.0, steps=20)
        vae = self.encoders.vae
        return tiled(shown(vae.decode(latents / vae.config.scaling_factor).sample), 6), numbers

    def _sample(self, module: nn.Module, prompts: list[str], scale: float, steps: int) -> Tensor:
        """(n, 4, h, w) latents with classifier-free guidance."""
        table = plan(Request(steps=steps, sampler="dpmpp-2m"), self.noise.schedule)
        text = torch.cat([self.nothing.expand(len(prompts), -1, -1), self.encoders.states(prompts)])
        shape = (len(prompts), *self.held[0].shape[1:])

        def guided(x: Tensor, t: float) -> Tensor:
            out: Tensor = module(torch.cat([x, x]), t, encoder_hidden_states=text).sample.float()
            free, told = out.chunk(2)
            return free + scale * (told - free)

        return sampled(table, guided, partial(torch.randn, shape, generator=torch.Generator().manual_seed(0)))

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


def train_diffusion(config: DiffusionConfig) -> None:
    """Train the UNet that a configuration describes."""
    train(DiffusionTask(config), config.loop, config.out)
