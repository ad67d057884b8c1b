"""Composed scenes as latents and text states on disk, made once and read by every epoch."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers.models import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from mezzotint.data.compose import Composer, Scene
from mezzotint.train.sheets import pixels
from mezzotint.train.vocabulary import LENGTH

SHARD = 2000
_PART = 50


@dataclass(frozen=True)
class Encoders:
    """What turns a scene into numbers: both frozen."""

    vae: AutoencoderKL
    text: CLIPTextModel
    tokenizer: CLIPTokenizer

    @classmethod
    def open(cls, vae: Path, text: Path) -> Encoders:
        """From folders that `train vae` and `train clip` wrote."""
        return cls(
            AutoencoderKL.from_pretrained(vae).float().eval().requires_grad_(False),
            CLIPTextModel.from_pretrained(text / "text_encoder").float().eval().requires_grad_(False),
            CLIPTokenizer.from_pretrained(text / "tokenizer"),
        )

    def latents(self, scenes: list[Scene]) -> Tensor:
        """(n, 4, h/8, w/8), scaled to a standard deviation of 1."""
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            mean: Tensor = self.vae.encode(pixels([scene.image for scene in scenes])).latent_dist.mean
        return mean.float() * float(self.vae.config.scaling_factor)

    def states(self, captions: list[str]) -> Tensor:
        """(n, 77, width): every position, as stock pipelines attend to the padding too."""
        whole = {"padding": "max_length", "truncation": True, "max_length": LENGTH, "return_tensors": "pt"}
        ids = self.tokenizer(captions, **whole)["input_ids"]
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            states: Tensor = self.text(input_ids=ids).last_hidden_state
        return states.float()


class LatentStore:
    """Shards of 2,000 scenes: latents (n, 4, h, w) and states (n, 77, width), half precision, memory-mapped."""

    def __init__(
        self, folder: Path, count: int, seed: int, composer: Callable[[], Composer], encoders: Encoders
    ):
        folder.mkdir(parents=True, exist_ok=True)
        shards = [folder / f"{index:04d}" for index in range(max(1, count // SHARD))]
        write_latents(shards, min(count, SHARD), seed, composer, encoders.latents)
        write_states(shards, encoders.states)
        self.latents = [np.load(f"{shard}-latents.npy", mmap_mode="r") for shard in shards]
        self.states = [np.load(f"{shard}-states.npy", mmap_mode="r") for shard in shards]
        self.size = sum(len(shard) for shard in self.latents)
        self.shard = len(self.latents[0])

    def batch(self, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Latents and states at these indices, float32."""
        where = [(int(i) // self.shard, int(i) % self.shard) for i in indices]
        latents = np.stack([self.latents[s][i] for s, i in where]).astype(np.float32)
        states = np.stack([self.states[s][i] for s, i in where]).astype(np.float32)
        return torch.from_numpy(latents), torch.from_numpy(states)


def write_latents(
    shards: list[Path],
    count: int,
    seed: int,
    composer: Callable[[], Composer],
    encode: Callable[[list[Scene]], Tensor],
) -> None:
    """Scenes of the shards that are missing: their captions, then their latents."""
    made: Composer | None = None
    for shard in shards:
        if not Path(f"{shard}-latents.npy").exists():
            made = made or composer()
            rng, latents, captions = random.Random(f"scenes {seed} {shard.name}"), [], []
            for _ in range(0, count, _PART):
                scenes = [made.scene(rng) for _ in range(_PART)]
                captions += [scene.caption for scene in scenes]
                latents.append(encode(scenes))
            Path(f"{shard}-captions.json").write_text(json.dumps(captions))
            _save(f"{shard}-latents", latents)


def write_states(shards: list[Path], encode: Callable[[list[str]], Tensor]) -> None:
    """Text states of the shards that lack them."""
    for shard in shards:
        if not Path(f"{shard}-states.npy").exists():
            captions = json.loads(Path(f"{shard}-captions.json").read_text())
            _save(
                f"{shard}-states", [encode(captions[i : i + _PART]) for i in range(0, len(captions), _PART)]
            )


def _save(name: str, parts: list[Tensor]) -> None:
    np.save(f"{name}.part.npy", torch.cat(parts).half().numpy())
    Path(f"{name}.part.npy").rename(f"{name}.npy")
