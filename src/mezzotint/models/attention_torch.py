"""Where the cross-attention layers of a torch denoiser look, listened to while one call lasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch


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
