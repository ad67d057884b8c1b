"""The autoencoder of a model on its own: pictures to latents and back (torch)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mezzotint.errors import ModelError
from mezzotint.models.bundled import BUNDLED


class Autoencoder:
    """A KL autoencoder in diffusers' format."""

    def __init__(self, vae: Any):
        self._vae = vae

    @classmethod
    def open(cls, source: str | Path) -> Autoencoder:
        """Of a bundled name or a diffusers folder."""
        folder = BUNDLED[str(source)].path if str(source) in BUNDLED else Path(source).expanduser()
        if not (folder / "vae" / "config.json").is_file():
            raise ModelError(f"{folder} has no autoencoder (vae/config.json)")
        try:
            from diffusers.models import AutoencoderKL
        except ImportError as error:
            raise ModelError("the autoencoder alone runs on torch: pip install 'mezzotint[torch]'") from error
        return cls(AutoencoderKL.from_pretrained(folder / "vae", use_safetensors=True).float().eval())

    def reconstruct(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """The pictures encoded (to the mean) and decoded."""
        import torch

        shown = []
        with torch.no_grad():
            for image in images:
                x = (
                    torch.from_numpy(np.asarray(image.convert("RGB"), np.float32)).permute(2, 0, 1)[None]
                    / 127.5
                    - 1
                )
                out = self._vae.decode(self._vae.encode(x).latent_dist.mean).sample[0].clamp(-1, 1)
                shown.append(Image.fromarray(((out + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()))
        return shown
