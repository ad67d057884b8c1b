"""Scenes as latents and captions as text states, each computed once and kept on disk by content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers.models import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from mezzotint.data.array_cache import ArrayCache
from mezzotint.data.encoded import TextStates, cache_key
from mezzotint.data.scenes import CanonicalComposer, CanonicalScene
from mezzotint.train.image_tensors import to_tensor
from mezzotint.train.vocabulary import LENGTH


@dataclass(frozen=True)
class SceneEncoders:
    """What turns a scene into numbers: both frozen."""

    vae: AutoencoderKL
    text: CLIPTextModel
    tokenizer: CLIPTokenizer

    @classmethod
    def open(cls, vae: Path, text: Path) -> SceneEncoders:
        """From a folder of an autoencoder, and one that holds `text_encoder/` and `tokenizer/`."""
        return cls(
            AutoencoderKL.from_pretrained(vae).float().eval().requires_grad_(False),
            CLIPTextModel.from_pretrained(text / "text_encoder").float().eval().requires_grad_(False),
            CLIPTokenizer.from_pretrained(text / "tokenizer"),
        )

    @torch.no_grad()
    def latents(self, x: Tensor) -> Tensor:
        """(n, 4, h/8, w/8), scaled to a standard deviation of 1, of pixels (n, 3, h, w) in -1..1."""
        mean: Tensor = self.vae.encode(x).latent_dist.mean
        return mean * float(self.vae.config.scaling_factor)

    @torch.no_grad()
    def states(self, captions: Sequence[str]) -> Tensor:
        """(n, 77, width): every position, as stock pipelines attend to the padding too."""
        whole = {"padding": "max_length", "truncation": True, "max_length": LENGTH, "return_tensors": "pt"}
        ids = self.tokenizer(list(captions), **whole)["input_ids"]
        states: Tensor = self.text(input_ids=ids).last_hidden_state
        return states


class SceneCache:
    """Latents (4, h, w) and states (77, width) in half precision, encoded when first asked for."""

    def __init__(self, folder: Path, composer: CanonicalComposer, encoders: SceneEncoders, side: int):
        self.composer, self.encoders = composer, encoders
        self._vae = _digest(encoders.vae)
        self._latents = ArrayCache(folder / f"latents-{self._vae[:16]}", (4, side, side))
        shape = (LENGTH, encoders.text.config.hidden_size)
        self._states = TextStates(_digest(encoders.text), shape, self._encode_text, folder)

    def batch(self, scenes: Sequence[CanonicalScene]) -> tuple[Tensor, Tensor]:
        """(n, 4, h, w) latents and (n, 77, width) states, float32."""
        latents = np.stack([self._latent(scene) for scene in scenes]).astype(np.float32)
        states = self._states.states([scene.caption for scene in scenes])
        return torch.from_numpy(latents), torch.from_numpy(states)

    def _latent(self, scene: CanonicalScene) -> NDArray[np.floating]:
        def encode() -> NDArray[np.floating]:
            return np.asarray(self.encoders.latents(to_tensor([self.composer.render(scene)]))[0])

        return self._latents.get(cache_key(self._vae, self.composer.content(scene)), encode)

    def _encode_text(self, caption: str) -> NDArray[np.floating]:
        return np.asarray(self.encoders.states([caption])[0])


def _digest(module: nn.Module) -> str:
    """What the weights are, as text."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def normalize_latents(vae: AutoencoderKL, x: Tensor) -> None:
    """Shift and scale each channel of the latents, in place, to mean 0 and deviation 1 over pixels x (n, 3, h, w).

    The convolutions next to the latents absorb it, so pictures stay as they are, and any reader of the format is right.
    """
    scale = float(vae.config.scaling_factor)
    parts = (x[i : i + 16] for i in range(0, len(x), 16))
    latents = torch.cat([vae.encode(part).latent_dist.mean for part in parts]) * scale
    mean, std = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    to, back = vae.quant_conv, vae.post_quant_conv
    channels = len(mean)
    to.weight[:channels] *= (scale / std)[:, None, None, None]
    to.bias[:channels] = (scale * to.bias[:channels] - mean) / std
    to.bias[channels:] += 2 * torch.log(scale / std)  # of the variance
    back.bias += (back.weight[..., 0, 0] @ (mean / scale)[:, None])[:, 0]
    back.weight *= (std / scale)[None, :, None, None]
    vae.register_to_config(scaling_factor=1.0)
