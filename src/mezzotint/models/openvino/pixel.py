"""UNet2DModel, which denoises pixels without a prompt, as an OpenVINO graph, for any rows and size."""

from __future__ import annotations

from typing import Any

from mezzotint.models.disk.architecture_pixel import PixelArch
from mezzotint.models.disk.weights import Weights
from mezzotint.models.openvino.layers import Node
from mezzotint.models.openvino.ushape import UShape


def build_pixel_unet(arch: PixelArch, weights: Weights) -> Any:
    """The graph `x (n, 3, h, w), time (n, channels[0]) -> (n, 3, h, w)`; `time` is of `time_features`."""
    unet = _PixelUNet(arch, weights)
    x = unet.input("x", [-1, arch.colors, -1, -1])
    time = unet.input("time", [-1, arch.channels[0]])
    return unet.model(unet.ushape(x, time, arch.colors), [x, time], "unet")


class _PixelUNet(UShape):
    def __init__(self, arch: PixelArch, weights: Weights) -> None:
        super().__init__(arch, weights)
        self.arch = arch
        self.middle_attends = arch.middle_attends

    def attention_layer(self, x: Node, name: str, level: int) -> Node:
        c = self.arch.channels[level]
        return self.attend_grid(x, name, c, self.arch.heads(c))

    def halve(self, x: Node, name: str, c: int) -> Node:
        """Older networks pad on the right and at the bottom alone."""
        pad = None if self.arch.pads_evenly else (0, 1)
        return self.conv(x, name, c, c, stride=2, pad=pad)
