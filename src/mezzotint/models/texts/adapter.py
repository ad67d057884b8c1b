"""A small transformer from BERT's states to a model's own text states (the idea of GlueGen, 2303.10056)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from mezzotint.errors import ModelError
from mezzotint.models.disk.hub import reason
from mezzotint.models.disk.parts import read_json
from mezzotint.models.runtime import Floats

_SIZES = ("read", "given", "length", "width", "layers", "heads")
MOST = 4096  # of any of these


class BertAdapter(nn.Module):
    """BERT's states (n, length, read) to own states (n, length, given); every position attends to every other.

    What BERT has at its padding is not looked at: those positions begin as one learned vector.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, read: int, given: int, length: int, width: int, layers: int, heads: int):
        super().__init__()
        self.sizes = dict(zip(_SIZES, (read, given, length, width, layers, heads), strict=True))
        self.embedding = nn.Linear(read, width)
        self.pad_embedding = nn.Parameter(torch.zeros(width))
        self.position_embedding = nn.Parameter(0.5 * torch.randn(length, width))
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, given)
        self.register_buffer("mean", torch.zeros(given))
        self.register_buffer("std", torch.ones(given))

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Normalized own states: see `unnormalized`. `mask` (n, length) is true on words."""
        x = torch.where(mask[..., None], self.embedding(states), self.pad_embedding) + self.position_embedding
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.out(self.norm(x))
        return out

    def normalize(self, own: Tensor) -> Tensor:
        """Own states less their mean, over their deviation, feature by feature."""
        return (own - self.mean) / self.std

    def denormalize(self, out: Tensor) -> Tensor:
        """The inverse of `normalized`."""
        return out * self.std + self.mean

    def save(self, folder: Path) -> None:
        """`config.json` and float16 weights."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: value.half().contiguous() for name, value in self.state_dict().items()}
        save_file(weights, folder / "model.safetensors")
        (folder / "config.json").write_text(
            json.dumps({"kind": "bert-adapter", **self.sizes}, indent=1) + "\n"
        )


class _Layer(nn.Module):
    """Attention and a perceptron, each after a norm and beside a shortcut."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5
        x = x + self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))  # type: ignore[no-any-return]


def open_adapter(folder: Path, read: int, given: int, length: int) -> Callable[[Floats, int], Floats]:
    """A function of BERT's states (length, read) and their count of words. ModelError where it does not fit."""
    config = read_json(folder / "config.json")
    fits = {"read": read, "given": given, "length": length}
    if wrong := [
        f"{name} {config.get(name)}, not {size}" for name, size in fits.items() if config.get(name) != size
    ]:
        raise ModelError(f"{folder} is for another pair: {', '.join(wrong)}; train one for this model")
    module = _load(folder, config)

    def adapt(states: Floats, words: int) -> Floats:
        mask = torch.arange(length)[None] < words
        with torch.no_grad():
            out = module.denormalize(module(torch.from_numpy(states)[None], mask))[0]
        return np.asarray(out.numpy(), np.float32)

    return adapt


def _load(folder: Path, config: dict[str, Any]) -> BertAdapter:
    sizes: dict[str, Any] = {name: config.get(name) for name in _SIZES}
    if not all(type(size) is int and 0 < size <= MOST for size in sizes.values()):
        raise ModelError(f"{folder / 'config.json'} asks for {sizes}; it is damaged")
    try:
        with torch.device("meta"):
            module = BertAdapter(**sizes)
        module.load_state_dict(load_file(folder / "model.safetensors"), assign=True)
    except (RuntimeError, OSError, SafetensorError) as error:
        raise ModelError(f"the adapter in {folder} is damaged ({reason(error)}); train it again") from error
    if not all(value.isfinite().all() for value in module.state_dict().values()):
        raise ModelError(f"the adapter in {folder} holds NaN or infinity; train it again")
    return module.float().eval().requires_grad_(False)
