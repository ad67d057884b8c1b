"""Where a network reads its text: the names and the grids of its cross-attention layers, in their order."""

from __future__ import annotations

from typing import NamedTuple

from mezzotint.models.disk.architecture import UNetArch


class CrossAttention(NamedTuple):
    """One layer. Its grid is that of the latents, halved `level` times, each time rounded up."""

    name: str  # as diffusers names it, ending in attn2
    level: int

    @property
    def factor(self) -> int:
        """Latents along a side for each of its places."""
        return int(2**self.level)


def cross_attention(arch: UNetArch) -> tuple[CrossAttention, ...]:
    """The cross-attention layers in the order in which a call passes them: down, middle, up."""
    last = len(arch.channels) - 1
    down = [
        layer
        for i in range(last + 1)
        if arch.down_attends[i]
        for j in range(arch.layers[i])
        for layer in _blocks(arch, f"down_blocks.{i}.attentions.{j}", i)
    ]
    up = [
        layer
        for i in range(last + 1)
        if arch.up_attends[i]
        for j in range(arch.layers[last - i] + 1)
        for layer in _blocks(arch, f"up_blocks.{i}.attentions.{j}", last - i)
    ]
    middle = _blocks(arch, "mid_block.attentions.0", last) if arch.has_middle else []
    return (*down, *middle, *up)


def _blocks(arch: UNetArch, name: str, level: int) -> list[CrossAttention]:
    return [CrossAttention(f"{name}.transformer_blocks.{k}.attn2", level) for k in range(arch.depth[level])]
