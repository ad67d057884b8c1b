"""Runs the networks with torch: eager on a CPU, on a CUDA device where there is one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mezzotint.models.bundle import Bundle
from mezzotint.models.networks import torch_text, torch_unet, torch_vae
from mezzotint.models.runtime import Dtype, Floats


class TorchRuntime:
    """The networks of a bundle as torch modules; on a GPU the decoder shares the denoiser's dtype."""

    name = "torch"

    def __init__(self, bundle: Bundle, dtype: Dtype, threads: int | None = None) -> None:
        _, vae, _ = bundle.architectures()
        if threads is not None:
            torch.set_num_threads(threads)
        if dtype == "float32":
            torch.backends.cudnn.allow_tf32 = False  # else convolutions on a GPU keep 10 bits of 23
        self.dtype: Dtype = dtype
        self.threads: int = torch.get_num_threads()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._half: torch.dtype = getattr(torch, dtype)
        upcast = self.device.type == "cpu" or (vae.force_upcast and dtype == "float16")
        self._picture = torch.float32 if upcast else self._half
        self._scaling = vae.scaling_factor
        self._unet = _moved(torch_unet(bundle.unet), self.device, self._half)
        self._vae = _moved(torch_vae(bundle.vae), self.device, self._picture)
        self._text: Any = _moved(torch_text(bundle.text_encoder), self.device, torch.float32)

    @torch.no_grad()
    def encode(self, tokens: NDArray[np.int64]) -> Floats:
        """(n, length) token ids -> (n, length, width)."""
        return _numpy(self._text(torch.from_numpy(tokens).to(self.device)).last_hidden_state)

    @torch.no_grad()
    def denoise(self, x: Floats, timestep: Floats, text: Floats) -> Floats:
        """(n, c, h, w), (n,), (n, length, width) -> (n, c, h, w)."""
        t = self._to(timestep, torch.float32)  # 951 has no bfloat16
        states = self._to(text, self._half)
        return _numpy(
            self._unet(self._to(x, self._half), t, encoder_hidden_states=states, return_dict=False)[0]
        )

    @torch.no_grad()
    def decode(self, latents: Floats) -> Floats:
        """(n, c, h, w) -> (n, H, W, 3)."""
        z = self._to(latents, torch.float32) / self._scaling
        return _numpy(self._vae.decode(z.to(self._picture), return_dict=False)[0].permute(0, 2, 3, 1))

    def prepare(self, rows: int, height: int, width: int) -> None:
        """Nothing to do: eager torch compiles nothing."""

    def _to(self, array: Floats, dtype: torch.dtype) -> torch.Tensor:
        return torch.from_numpy(np.array(array)).to(self.device, dtype)  # torch takes no read-only arrays


def _moved(module: torch.nn.Module, device: torch.device, dtype: torch.dtype) -> Any:
    """The module in its place, moved by torch's own method: diffusers' prints advice at each use."""
    return torch.nn.Module.to(module, device, dtype)


def _numpy(result: torch.Tensor) -> Floats:
    return result.float().cpu().contiguous().numpy()
