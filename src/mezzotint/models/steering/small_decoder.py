"""The small decoder as a torch module: through it guidance sends its gradients, and it is what is trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from mezzotint.models.disk.parts import NetworkFiles
from mezzotint.models.networks import stored_state
from mezzotint.models.openvino.small import FILE, SmallArch
from mezzotint.models.runtime import Floats


class SmallDecoder(nn.Module):
    """(n, c, h, w) scaled latents to (n, 3, 8h, 8w) pictures, about -1..1."""

    def __init__(self, arch: SmallArch):
        super().__init__()
        self.arch = arch
        self.conv_in = nn.Conv2d(arch.latent_channels, arch.channels, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualPair(arch.channels) for _ in range(arch.blocks))
        self.conv_out = nn.Conv2d(arch.channels, 3 * arch.factor**2, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """As `build_small` does it."""
        x = self.conv_in(z)
        for block in self.blocks:
            x = block(x)
        return F.pixel_shuffle(self.conv_out(F.silu(x)), self.arch.factor)

    @torch.no_grad()
    def numpy(self, latents: Floats) -> Floats:
        """(n, 8h, 8w, 3) from (n, c, h, w)."""
        pictures: Floats = self(torch.from_numpy(latents)).permute(0, 2, 3, 1).numpy()
        return pictures

    @classmethod
    def open(cls, part: NetworkFiles) -> SmallDecoder:
        """From a model's folder, in float32 and without gradients of its weights. ModelError where it is damaged."""
        decoder, weights = cls(SmallArch.read(part.config, str(part.where / "config.json"))), part.weights()
        state = stored_state(decoder, weights)
        weights.finish()
        decoder.load_state_dict(state)
        return decoder.eval().requires_grad_(False)

    def save(self, folder: Path) -> None:
        """Its config, and its weights in float16."""
        save_half(self, self.arch.config, folder)


def save_half(module: nn.Module, config: Mapping[str, Any], folder: Path) -> None:
    """`config.json`, and the weights in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    halves = {name: value.half().contiguous() for name, value in module.state_dict().items()}
    save_file(halves, folder / FILE, metadata={"format": "pt"})


class ResidualPair(nn.Module):
    """Two 3x3 convolutions with SiLU, past which x goes too."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv2(F.silu(self.conv1(F.silu(x))))
        return out
