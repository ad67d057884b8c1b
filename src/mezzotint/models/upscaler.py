"""The upscaler that comes with Mezzotint: twice the size of any picture, on OpenVINO; four times is twice twice.

A small convolutional network on the picture's own grid that ends in a sub-pixel shuffle (Shi et al. 2016, 1609.05158).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ModelError
from mezzotint.files import file_digest
from mezzotint.models.disk.configs import whole
from mezzotint.models.disk.parts import read_json
from mezzotint.models.disk.weights import TensorFile, Weights
from mezzotint.models.openvino.layers import Node, load
from mezzotint.models.openvino.network import Compiled, options
from mezzotint.models.openvino.small import FILE, ResidualStack

FOLDER = Path(__file__).parent.parent / "bundles" / "upscaler"
TILE = 192
"""Pixels a side that one call works on, so that memory stays bounded."""
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class UpscalerArch:
    """3x3 convolutions: one in, residual pairs with SiLU, one out to four pixels for each; the picture is added."""

    channels: int = 32
    blocks: int = 6

    @classmethod
    def read(cls, config: Mapping[str, Any], where: str) -> UpscalerArch:
        """From its `config.json`; ModelError for what is not an upscaler."""
        if config.get("_class_name") != "Upscaler":
            raise ModelError(f"{where} is of {config.get('_class_name')!r}, not of an Upscaler")
        return cls(whole(config, "channels", None, where, 512), whole(config, "blocks", None, where, 64))

    @property
    def config(self) -> dict[str, Any]:
        """What `read` reads."""
        return {"_class_name": "Upscaler", **asdict(self)}

    @property
    def halo(self) -> int:
        """How far in pixels the result at a point looks."""
        return 2 * self.blocks + 2


class Upscaler:
    """Pictures of twice the size. Calls may come from several threads; one computes at a time."""

    def __init__(self, folder: Path = FOLDER, threads: int = 0) -> None:
        self.arch = UpscalerArch.read(read_json(folder / "config.json"), str(folder / "config.json"))
        if not (file := folder / FILE).is_file():
            raise ModelError(f"{file} is missing; install Mezzotint again")
        self.digest = file_digest(file)
        graph = build_upscaler(self.arch, Weights(TensorFile.open(file), folder))
        self._network = Compiled(load().Core().compile_model(graph, "CPU", options("float32", threads)))
        self._lock = threading.Lock()

    def __call__(self, pixels: Pixels, factor: int) -> Pixels:
        """(H, W, 3) to (factor*H, factor*W, 3), for a factor of 1, 2 or 4."""
        while factor > 1:
            pixels, factor = self._double(pixels), factor // 2
        return pixels

    def _double(self, pixels: Pixels) -> Pixels:
        """In tiles that overlap by what a pixel sees, so that no seam shows."""
        height, width = pixels.shape[:2]
        out = np.empty((2 * height, 2 * width, 3), np.uint8)
        halo = self.arch.halo
        for top in range(0, height, TILE):
            for left in range(0, width, TILE):
                bottom, right = min(top + TILE, height), min(left + TILE, width)
                y, x = max(top - halo, 0), max(left - halo, 0)
                part = pixels[y : bottom + halo, x : right + halo]
                with self._lock:
                    found = self._network((part[None].astype(np.float32) / 127.5 - 1,))[0][0]
                found = found[2 * (top - y) :, 2 * (left - x) :][: 2 * (bottom - top), : 2 * (right - left)]
                bytes_ = np.rint((np.clip(found, -1, 1) + 1) * 127.5).astype(np.uint8)
                out[2 * top : 2 * bottom, 2 * left : 2 * right] = bytes_
        return out


@lru_cache(maxsize=2)
def open_upscaler(threads: int = 0) -> Upscaler:
    """The bundled one, opened when it is first used; `threads`: 0 is the runtime's choice."""
    return Upscaler(threads=threads)


def build_upscaler(arch: UpscalerArch, weights: Weights) -> Any:
    """The graph `pictures (n, h, w, 3) -> (n, 2h, 2w, 3)`, both about -1..1."""
    net = _Graph(weights)
    picture = net.input("pictures", [-1, -1, -1, 3])
    graph = net.model(net.double(picture, arch), [picture], "upscaler")
    weights.finish()
    return graph


class _Graph(ResidualStack):
    def double(self, picture: Node, a: UpscalerArch) -> Node:
        given = self.op.transpose(picture, self.ints(0, 3, 1, 2))
        x = self.run(given, 3, a.channels, a.blocks, 12)
        repeated = self.op.gather(given, self.ints(*np.repeat(range(3), 4)), self.axis(1))
        x = self.op.depth_to_space(self.op.add(x, repeated), "depth_first", 2)
        return self.op.transpose(x, self.ints(0, 2, 3, 1))
