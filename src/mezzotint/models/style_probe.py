"""A small network that tells the styles of the emoji set apart, by outlines, shading and edges."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from mezzotint.errors import ModelError
from mezzotint.files import file_digest

SIDE = 128
FILE = "model.safetensors"
BUNDLED = Path(__file__).parent.parent / "bundles" / "style"


class StyleNetwork(nn.Module):
    """(n, 3, 128, 128) in -1..1 to (n, styles) scores. Each place sees 33 pixels, so hardly what is drawn."""

    def __init__(self, styles: int, channels: Sequence[int] = (32, 64, 96, 96)):
        super().__init__()
        first, *pairs = pairwise((3, *channels))
        strides = [2] * (len(pairs) - 1) + [1]
        deeper = [nn.Conv2d(*pair, 3, stride, 1) for pair, stride in zip(pairs, strides, strict=True)]
        self.layers = nn.ModuleList([nn.Conv2d(*first, 5, 2, 2), *deeper])
        self.norms = nn.ModuleList(nn.GroupNorm(8, cout) for cout in channels)
        self.out = nn.Linear(2 * channels[-1], styles)

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.silu(norm(layer(x)))
        scores: Tensor = self.out(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))
        return scores


class StyleProbe:
    """Pictures to the names of styles."""

    def __init__(self, network: StyleNetwork, styles: Sequence[str], digest: str = ""):
        self.network, self.styles, self.digest = network, tuple(styles), digest

    @classmethod
    def open(cls, folder: Path = BUNDLED) -> StyleProbe:
        """What `mezzotint train style` wrote. ModelError where it is missing or damaged."""
        path = folder / FILE
        try:
            with safe_open(path, "pt") as file:
                styles = tuple((file.metadata() or {})["styles"].split(" "))
                state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            network = StyleNetwork(len(styles))
            network.load_state_dict(state)
        except (OSError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"no style probe in {folder}: {error}; make one with `mezzotint train style`"
            ) from None
        return cls(network.eval().requires_grad_(False), styles, file_digest(path))

    def __call__(self, images: Sequence[Image.Image]) -> list[str]:
        """The likeliest style of each."""
        with torch.no_grad():
            choices = self.network(tensor(images)).argmax(1).tolist()
        return [self.styles[choice] for choice in choices]

    def save(self, folder: Path) -> None:
        """Its weights in float16, with the names of the styles."""
        folder.mkdir(parents=True, exist_ok=True)
        halves = {name: value.half().contiguous() for name, value in self.network.state_dict().items()}
        save_file(halves, folder / FILE, metadata={"format": "pt", "styles": " ".join(self.styles)})


def tensor(images: Sequence[Image.Image]) -> Tensor:
    """(n, 3, 128, 128) in -1..1."""
    shown = [
        np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)) for image in images
    ]
    return torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2).float().div(127.5).sub(1)
