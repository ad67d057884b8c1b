"""AutoencoderKL as OpenVINO graphs: the decoder, and the encoder, which only a run from a picture builds."""

from __future__ import annotations

from typing import Any

import numpy as np

from mezzotint.models.disk.architecture import VaeArch
from mezzotint.models.disk.weights import Weights
from mezzotint.models.openvino.layers import Layers, Node


def build_decoder(arch: VaeArch, weights: Weights) -> Any:
    """The graph `latents (n, c, h, w) -> pictures (n, 8h, 8w, 3)`, about -1..1, unscaled first."""
    vae = _Decoder(arch, weights)
    z = vae.input("latents", [-1, arch.latent_channels, -1, -1])
    return vae.model(vae.decode(z), [z], "vae")


class VaeLayers(Layers):
    """What encoder and decoder are made of."""

    def __init__(self, arch: VaeArch, weights: Weights) -> None:
        super().__init__(weights, arch.groups, eps=1e-6)
        self.arch = arch

    def middle(self, x: Node, half: str, c: int) -> Node:
        """The smallest grid, of `half` encoder or decoder."""
        x = self.resnet(x, f"{half}.mid_block.resnets.0", c, c)
        x = self.attend_grid(x, f"{half}.mid_block.attentions.0", c, heads=1)
        return self.resnet(x, f"{half}.mid_block.resnets.1", c, c)

    def resnet(self, x: Node, name: str, cin: int, cout: int) -> Node:
        """(n, cin, h, w) -> (n, cout, h, w): two convolutions past which x goes too."""
        y = self.conv(self.silu(self.group_norm(x, f"{name}.norm1", cin)), f"{name}.conv1", cin, cout)
        y = self.conv(self.silu(self.group_norm(y, f"{name}.norm2", cout)), f"{name}.conv2", cout, cout)
        return self.op.add(x if cin == cout else self.conv(x, f"{name}.conv_shortcut", cin, cout, 1), y)


class _Decoder(VaeLayers):
    def decode(self, z: Node) -> Node:
        a, c = self.arch, self.arch.channels[-1]
        x = self.op.divide(z, self.scalar(a.scaling_factor))
        if a.post_quant_conv:
            x = self.conv(x, "post_quant_conv", a.latent_channels, a.latent_channels, 1)
        x = self.middle(self.conv(x, "decoder.conv_in", a.latent_channels, c), "decoder", c)
        cin = c
        for i, c in enumerate(reversed(a.channels)):
            block = f"decoder.up_blocks.{i}"
            for j in range(a.layers + 1):
                x = self.resnet(x, f"{block}.resnets.{j}", cin if j == 0 else c, c)
            if i < len(a.channels) - 1:
                x = self.conv(self.double(x), f"{block}.upsamplers.0.conv", c, c)
            cin = c
        x = self.silu(self.group_norm(x, "decoder.conv_norm_out", cin))
        return self.op.transpose(self.conv(x, "decoder.conv_out", cin, a.out_channels), self.ints(0, 2, 3, 1))

    def double(self, x: Node) -> Node:
        """Nearest neighbor to twice the size."""
        return self.op.interpolate(
            x,
            self.op.constant(np.array([2, 2], np.float32)),
            "nearest",
            "scales",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
            axes=self.ints(2, 3),
        )


def belongs_to_encoder(name: str) -> bool:
    """Whether a stored weight serves the encoder, which making pictures does not need."""
    return name.startswith(("encoder.", "quant_conv."))


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
