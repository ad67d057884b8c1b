"""The encoder of AutoencoderKL as an OpenVINO graph; only a run that begins with a picture builds it."""

from __future__ import annotations

from typing import Any

from mezzotint.models.disk.architecture import VaeArch
from mezzotint.models.disk.weights import Weights
from mezzotint.models.openvino.layers import Node
from mezzotint.models.openvino.vae import VaeLayers


def build_encoder(arch: VaeArch, weights: Weights) -> Any:
    """The graph `pictures (n, H, W, 3) in -1..1 -> (n, 2c, h, w)`: mean and log variance, unscaled."""
    vae = _Encoder(arch, weights)
    pictures = vae.input("pictures", [-1, -1, -1, arch.in_channels])
    return vae.model(vae.encode(pictures), [pictures], "encoder")


class _Encoder(VaeLayers):
    def encode(self, pictures: Node) -> Node:
        a = self.arch
        x = self.op.transpose(pictures, self.ints(0, 3, 1, 2))
        x = self.conv(x, "encoder.conv_in", a.in_channels, a.channels[0])
        cin = a.channels[0]
        for i, c in enumerate(a.channels):
            block = f"encoder.down_blocks.{i}"
            for j in range(a.layers):
                x = self.resnet(x, f"{block}.resnets.{j}", cin if j == 0 else c, c)
            if i < len(a.channels) - 1:
                x = self.halve(x, f"{block}.downsamplers.0.conv", c)
            cin = c
        x = self.silu(self.group_norm(self.middle(x, "encoder", cin), "encoder.conv_norm_out", cin))
        moments = 2 * a.latent_channels
        x = self.conv(x, "encoder.conv_out", cin, moments)
        return self.conv(x, "quant_conv", moments, moments, 1) if a.quant_conv else x

    def halve(self, x: Node, name: str, c: int) -> Node:
        """A convolution of stride 2, padded on the right and below only, as the autoencoder was trained."""
        return self.conv(x, name, c, c, stride=2, pad=(0, 1))
