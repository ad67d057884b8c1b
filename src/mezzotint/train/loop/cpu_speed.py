"""What makes a training step quicker on CPUs and leaves its numbers as they are, to rounding."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@contextmanager
def speed_up_on_cpu(module: nn.Module) -> Iterator[None]:
    """While this lasts, parts of diffusers' networks are done in quicker ways; memory that was freed is used again."""
    if next(module.parameters()).device.type != "cpu":
        yield
        return
    _keep_freed_memory()
    with ExitStack() as undo:
        if any(isinstance(layer, nn.GroupNorm) for layer in module.modules()):
            undo.callback(module.register_forward_pre_hook(_in_plain_layout).remove)
        for layer in _layers(module, "attention_processor", "Attention"):
            _quick_attention(layer, undo)
        for layer in _layers(module, "upsampling", "Upsample2D"):
            _quick_upsampling(layer, undo)
        yield


def _layers(module: nn.Module, room: str, name: str) -> Iterator[Any]:
    """Those of a class of diffusers; where it was not imported, there are none."""
    if known := sys.modules.get(f"diffusers.models.{room}"):
        yield from (layer for layer in module.modules() if isinstance(layer, getattr(known, name)))


def _in_plain_layout(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Pictures as one channel after the other. A permuted array of (n, h, w, c) stays channels-last through the whole
    network, where the gradient of a group norm takes ten times as long."""
    return tuple(x.contiguous() if isinstance(x, Tensor) and x.ndim == 4 else x for x in inputs)


def _quick_upsampling(layer: Any, undo: ExitStack) -> None:
    if layer.interpolate and layer.norm is None and not layer.use_conv_transpose:
        layer.interpolate = False
        undo.callback(setattr, layer, "interpolate", True)
        undo.callback(layer.register_forward_pre_hook(_upsample_input, with_kwargs=True).remove)


def _upsample_input(layer: Any, inputs: tuple[Any, ...], more: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The input (n, c, h, w) at (n, c, 2h, 2w), or at the size that is asked for."""
    x, size = inputs[0], (*inputs[1:], more.pop("output_size", None))[0]
    return (upsample_2x(x) if size is None else F.interpolate(x, size=size, mode="nearest"),), more


def upsample_2x(x: Tensor) -> Tensor:
    """Each pixel four times, by copies of rows: torch's own goes through a channels-last copy, five times slower."""
    n, c, h, w = x.shape
    wide = torch.stack([x, x], -1).view(n, c, h, 1, 2 * w)
    return torch.cat([wide, wide], 3).view(n, c, 2 * h, 2 * w)


def _quick_attention(layer: Any, undo: ExitStack) -> None:
    former = layer.processor
    if type(former).__name__ in ("AttnProcessor", "AttnProcessor2_0"):
        layer.set_processor(PlainAttention(former))
        undo.callback(layer.set_processor, former)


class PlainAttention:
    """softmax(q k') v as matrix products, which have a quicker gradient on CPUs than torch's fused attention.

    No step of it leaves the precision of its input: the kernels sum in float32 anyway. What is out of the
    ordinary (masks, norms of their own) is left to the processor that was there.
    """

    def __init__(self, usual: Any):
        self.usual = usual

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        *args: Any,
        **more: Any,
    ) -> Tensor:
        """(n, tokens, width) or (n, c, h, w), and the same again."""
        if attention_mask is not None or args or more or _is_rare(attn):
            usual = (hidden_states, encoder_hidden_states, attention_mask, temb)
            return self.usual(attn, *usual, *args, **more)  # type: ignore[no-any-return]
        x = hidden_states.flatten(2).transpose(1, 2) if hidden_states.ndim == 4 else hidden_states
        if attn.group_norm is not None:
            x = attn.group_norm(x.transpose(1, 2)).transpose(1, 2)
        told = x if encoder_hidden_states is None else encoder_hidden_states
        out = _attend(attn.to_q(x), attn.to_k(told), attn.to_v(told), attn.heads, attn.scale)
        out = attn.to_out[1](attn.to_out[0](out))
        if hidden_states.ndim == 4:
            out = out.transpose(1, 2).reshape(hidden_states.shape)
        out = (
            hidden_states + out if attn.residual_connection else out
        )  # in this order, in the layout of the former
        return out / attn.rescale_output_factor if attn.rescale_output_factor != 1 else out  # type: ignore[no-any-return]


def _is_rare(attn: Any) -> bool:
    kinds = (attn.spatial_norm, attn.norm_cross, attn.norm_q, attn.norm_k, attn.added_kv_proj_dim)
    return attn.upcast_attention or any(kind is not None for kind in kinds)


def _attend(q: Tensor, k: Tensor, v: Tensor, heads: int, scale: float) -> Tensor:
    """(n, tokens, width) of three such."""
    q, k, v = (x.view(*x.shape[:2], heads, -1).transpose(1, 2).flatten(0, 1) for x in (q, k, v))
    with torch.autocast(q.device.type, enabled=False):
        weights = torch.bmm(q * scale, k.transpose(1, 2)).softmax(-1)
        out = torch.bmm(weights, v)
    return out.view(-1, heads, *out.shape[1:]).transpose(1, 2).flatten(2)


def _keep_freed_memory() -> None:
    """Tell glibc not to give the memory of a step back to the system and ask for it again in the next.

    The pages of fresh memory are cleared one by one: a tenth of a step of 16 pictures of 64 pixels. For the rest of
    the process; elsewhere than on glibc, nothing.
    """
    trim_threshold, mmap_threshold = -1, -3  # of malloc.h
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(mmap_threshold, 32 * 2**20)  # the most that glibc takes
    mallopt(trim_threshold, 2**31 - 1)
