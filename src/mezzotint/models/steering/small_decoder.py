"""The small decoder as a torch module: through it guidance sends its gradients, and it is what is trained."""

from __future__ import annotations

import json
from pathlib import Path

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
        self.blocks = nn.ModuleList(_Residual(arch.channels) for _ in range(arch.blocks))
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
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.arch.config, indent=2) + "\n")
        halves = {name: value.half().contiguous() for name, value in self.state_dict().items()}
        save_file(halves, folder / FILE, metadata={"format": "pt"})


class _Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv2(F.silu(self.conv1(F.silu(x))))
        return out
