"""Runs the networks with torch: eager on a CPU, on a CUDA device where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mezzotint.models.cross_attention import cross_attention
from mezzotint.models.disk.bundle import Bundle, PixelBundle
from mezzotint.models.networks import torch_pixel_unet, torch_text, torch_unet, torch_vae
from mezzotint.models.runtime import Dtype, Floats
from mezzotint.models.texts.extended_embedding import with_rows


class _Listening:
    """A diffusers attention processor that keeps the probabilities and leaves the rest to the usual one."""

    def __init__(self, usual: Any, heard: list[torch.Tensor]) -> None:
        self._usual, self._heard = usual, heard

    def __call__(self, attn: Any, x: torch.Tensor, encoder_hidden_states: Any = None, **more: Any) -> Any:
        q = attn.head_to_batch_dim(attn.to_q(x))  # (n*heads, h*w, width)
        k = attn.head_to_batch_dim(attn.to_k(encoder_hidden_states))
        scores = torch.bmm(q.float() * attn.scale, k.float().transpose(1, 2))
        self._heard.append(scores.softmax(-1).view(-1, attn.heads, *scores.shape[1:]).mean(1))
        return self._usual(attn, x, encoder_hidden_states=encoder_hidden_states, **more)


@contextmanager
def capturing(unet: Any, layers: Sequence[str]) -> Iterator[list[torch.Tensor]]:
    """A list that a call of `unet` fills: (n, h*w, tokens) float32 of each layer, the mean over its heads."""
    heard: list[torch.Tensor] = []
    modules = [unet.get_submodule(name) for name in layers]
    usual = [module.processor for module in modules]
    try:
        for module in modules:
            module.set_processor(_Listening(module.processor, heard))
        yield heard
    finally:
        for module, processor in zip(modules, usual, strict=True):
            module.set_processor(processor)


class _Eager:
    """A denoiser as a torch module, on the CUDA device where there is one."""

    name = "torch"
    _unet: Any

    def __init__(self, dtype: Dtype, threads: int | None) -> None:
        self.dtype: Dtype = dtype
        self.device = _device(dtype, threads)
        self.threads: int = torch.get_num_threads()
        self._half: torch.dtype = getattr(torch, dtype)

    @property
    def unet(self) -> Any:
        """The denoiser, for gradients through it."""
        return self._unet

    def prepare(self, rows: int, height: int, width: int) -> None:
        """Nothing to do: eager torch compiles nothing."""

    def _to(self, array: Floats, dtype: torch.dtype) -> torch.Tensor:
        return torch.from_numpy(np.array(array)).to(self.device, dtype)  # torch takes no read-only arrays


class TorchRuntime(_Eager):
    """The networks of a bundle as torch modules; on a GPU the decoder shares the denoiser's dtype."""

    def __init__(self, bundle: Bundle, dtype: Dtype, threads: int | None = None) -> None:
        unet, vae, _ = bundle.architectures()
        super().__init__(dtype, threads)
        upcast = self.device.type == "cpu" or (vae.force_upcast and dtype == "float16")
        self._picture = torch.float32 if upcast else self._half
        self._scaling = vae.scaling_factor
        self._layers = [layer.name for layer in cross_attention(unet)]
        self._unet = _to_device(torch_unet(bundle.unet), self.device, self._half)
        self._vae = _to_device(torch_vae(bundle.vae), self.device, self._picture)
        self._text: Any = _to_device(torch_text(bundle.text_encoder), self.device, torch.float32)
        self._bundle = bundle

    def over(self, bundle: Bundle) -> TorchRuntime:
        """The same with other weights in the denoiser and the text encoder, where they differ."""
        other = copy(self)
        other._bundle = bundle
        if bundle.unet is not self._bundle.unet:
            other._unet = _to_device(torch_unet(bundle.unet), self.device, self._half)
        if bundle.text_encoder is not self._bundle.text_encoder:
            other._text = _to_device(torch_text(bundle.text_encoder), self.device, torch.float32)
        return other

    @torch.no_grad()
    def encode(self, tokens: NDArray[np.int64], rows: Floats | None = None) -> Floats:
        """(n, length) token ids -> (n, length, width); `rows` (k, width) go on behind the table of embeddings."""
        ids = torch.from_numpy(tokens).to(self.device)
        with nullcontext() if rows is None else with_rows(self._text, self._to(rows, torch.float32)):
            return _numpy(self._text(ids).last_hidden_state)

    @torch.no_grad()
    def denoise(self, x: Floats, timestep: Floats, text: Floats) -> Floats:
        """(n, c, h, w), (n,), (n, length, width) -> (n, c, h, w)."""
        t = self._to(timestep, torch.float32)  # 951 has no bfloat16
        states = self._to(text, self._half)
        return _numpy(
            self._unet(self._to(x, self._half), t, encoder_hidden_states=states, return_dict=False)[0]
        )

    def attend(self, x: Floats, timestep: Floats, text: Floats) -> tuple[Floats, list[Floats]]:
        """As `denoise`, to the same bits, and (n, h*w, length) of each cross-attention layer."""
        with capturing(self._unet, self._layers) as maps:
            out = self.denoise(x, timestep, text)
        return out, [_numpy(map_) for map_ in maps]

    @torch.no_grad()
    def decode(self, latents: Floats) -> Floats:
        """(n, c, h, w) -> (n, H, W, 3)."""
        z = self._to(latents, torch.float32) / self._scaling
        return _numpy(self._vae.decode(z.to(self._picture), return_dict=False)[0].permute(0, 2, 3, 1))

    @torch.no_grad()
    def moments(self, pictures: Floats) -> Floats:
        """(n, H, W, 3) -> (n, 2c, h, w)."""
        x = self._to(pictures, self._picture).permute(0, 3, 1, 2)
        return _numpy(self._vae.encode(x).latent_dist.parameters)


class TorchPixels(_Eager):
    """The network of a pixel bundle as a torch module."""

    def __init__(self, bundle: PixelBundle, dtype: Dtype, threads: int | None = None) -> None:
        super().__init__(dtype, threads)
        self._unet = _to_device(torch_pixel_unet(bundle.unet), self.device, self._half)

    def over(self, bundle: PixelBundle) -> TorchPixels:
        """The same with other weights."""
        other = copy(self)
        other._unet = _to_device(torch_pixel_unet(bundle.unet), self.device, self._half)
        return other

    @torch.no_grad()
    def denoise(self, x: Floats, timestep: Floats, text: Floats) -> Floats:
        """(n, c, h, w), (n,) -> (n, c, h, w); the text is not read. c: 3, or 1 of gray."""
        t = self._to(timestep, torch.float32)  # 951 has no bfloat16
        return _numpy(self._unet(self._to(x, self._half), t, return_dict=False)[0])

    def decode(self, latents: Floats) -> Floats:
        """(n, c, h, w) -> (n, h, w, c): these latents are the picture."""
        return latents.transpose(0, 2, 3, 1)


def _device(dtype: Dtype, threads: int | None) -> torch.device:
    """Where to run; torch is set to so many threads, and to the whole of float32 where that is asked for."""
    if threads is not None:
        torch.set_num_threads(threads)
    if dtype == "float32":
        torch.backends.cudnn.allow_tf32 = False  # else convolutions on a GPU keep 10 bits of 23
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _to_device(module: torch.nn.Module, device: torch.device, dtype: torch.dtype) -> Any:
    """The module in its place, moved by torch's own method: diffusers' prints advice at each use."""
    return torch.nn.Module.to(module, device, dtype)


def _numpy(result: torch.Tensor) -> Floats:
    return result.float().cpu().contiguous().numpy()
