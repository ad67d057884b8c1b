"""The small decoder of a model: latents to quick pictures, in one pass on the latents' own grid.

It serves guidance and previews, never a finished picture. It lies in `decoder_small/` of a model's folder,
reads latents as the denoiser gives them (scaled), and costs a hundredth of a full decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mezzotint.errors import ModelError
from mezzotint.files import key_of, remembered_digest
from mezzotint.models.disk.configs import whole
from mezzotint.models.disk.parts import NetworkFiles, read_json
from mezzotint.models.disk.weights import TensorFile, Weights
from mezzotint.models.openvino.derived import Back, Derived
from mezzotint.models.openvino.layers import Layers, Node, load
from mezzotint.models.openvino.network import Compiled, options
from mezzotint.models.runtime import Floats

FOLDER = "decoder_small"
FILE = "model.safetensors"
_BOUNDS = {"latent_channels": 64, "channels": 1024, "blocks": 32, "factor": 32}


@dataclass(frozen=True)
class SmallArch:
    """3x3 convolutions: one in, residual pairs with SiLU, one out to factor*factor pixels a latent."""

    latent_channels: int = 4
    channels: int = 64
    blocks: int = 3
    factor: int = 8

    @classmethod
    def read(cls, config: Mapping[str, Any], where: str) -> SmallArch:
        """From its `config.json`; ModelError for what is not a small decoder."""
        if config.get("_class_name") != "SmallDecoder":
            raise ModelError(f"{where} is of {config.get('_class_name')!r}, not of a SmallDecoder")
        return cls(**{key: whole(config, key, None, where, most) for key, most in _BOUNDS.items()})

    @property
    def weights(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes."""
        inner = [f"blocks.{i}.conv{j}" for i in range(self.blocks) for j in (1, 2)]
        sizes = {
            "conv_in": (self.channels, self.latent_channels),
            **dict.fromkeys(inner, (self.channels, self.channels)),
            "conv_out": (3 * self.factor**2, self.channels),
        }
        return {
            **{f"{name}.weight": (*size, 3, 3) for name, size in sizes.items()},
            **{f"{name}.bias": size[:1] for name, size in sizes.items()},
        }

    @property
    def config(self) -> dict[str, Any]:
        """What `read` reads."""
        return {"_class_name": "SmallDecoder", **asdict(self)}


def small_part(model: Path, cache: Path) -> NetworkFiles | None:
    """The small decoder of a model's folder, where it has one."""
    folder = model / FOLDER
    if not folder.is_dir():
        return None
    config, file = read_json(folder / "config.json"), folder / FILE
    if not file.is_file():
        raise ModelError(f"{file} is missing; copy the model's folder again")
    digest = key_of(FOLDER, config, remembered_digest(file, cache))
    return NetworkFiles(FOLDER, folder, config, digest, lambda: TensorFile.open(file))


def build_small(arch: SmallArch, weights: Weights) -> Any:
    """The graph `latents (n, c, h, w) -> pictures (n, 8h, 8w, 3)`, about -1..1."""
    net = _Small(weights)
    z = net.input("latents", [-1, arch.latent_channels, -1, -1])
    graph = net.model(net.decode(z, arch), [z], FOLDER)
    weights.finish()
    return graph


def compile_small(arch: SmallArch, weights: Weights, threads: int) -> Callable[[Floats], Floats]:
    """(n, c, h, w) -> (n, 8h, 8w, 3), for any number of rows and any size; one call at a time."""
    decoder = Compiled(
        load().Core().compile_model(build_small(arch, weights), "CPU", options("float32", threads))
    )
    return lambda latents: decoder((latents,))[0]


def small_derived(net: Derived, arch: SmallArch, weights: Weights) -> Callable[[Node], tuple[Node, Back]]:
    """As a part of a graph, with its derivative: latents (n, c, h, w) -> pictures (n, 3, 8h, 8w)."""
    named = {name: weights.take(name, shape).astype(np.float32) for name, shape in arch.weights.items()}
    weights.finish()

    def layer(x: Node, name: str) -> tuple[Node, Back]:
        return net.conv(x, named[f"{name}.weight"], named[f"{name}.bias"])

    def residual(x: Node, name: str) -> tuple[Node, Back]:
        y, bent1 = net.swish(x)
        y, conv1 = layer(y, f"{name}.conv1")
        y, bent2 = net.swish(y)
        y, conv2 = layer(y, f"{name}.conv2")
        return net.op.add(x, y), lambda g: net.op.add(g, bent1(conv1(bent2(conv2(g)))))

    def look(z: Node) -> tuple[Node, Back]:
        x, first = layer(z, "conv_in")
        backs = [first]
        for i in range(arch.blocks):
            x, back = residual(x, f"blocks.{i}")
            backs.append(back)
        x, bent = net.swish(x)
        x, last = layer(x, "conv_out")

        def whole(g: Node) -> Node:
            g = bent(last(net.op.space_to_depth(g, "depth_first", arch.factor)))
            for back in reversed(backs):
                g = back(g)
            return g

        return net.op.depth_to_space(x, "depth_first", arch.factor), whole

    return look


class ResidualStack(Layers):
    """3x3 convolutions on one grid: one in, residual pairs with SiLU, one out."""

    def run(self, x: Node, cin: int, channels: int, blocks: int, cout: int) -> Node:
        """(n, cin, h, w) -> (n, cout, h, w)."""
        x = self.conv(x, "conv_in", cin, channels)
        for i in range(blocks):
            y = self.conv(self.silu(x), f"blocks.{i}.conv1", channels, channels)
            x = self.op.add(x, self.conv(self.silu(y), f"blocks.{i}.conv2", channels, channels))
        return self.conv(self.silu(x), "conv_out", channels, cout)


class _Small(ResidualStack):
    def decode(self, z: Node, a: SmallArch) -> Node:
        x = self.run(z, a.latent_channels, a.channels, a.blocks, 3 * a.factor**2)
        return self.op.transpose(self.op.depth_to_space(x, "depth_first", a.factor), self.ints(0, 2, 3, 1))
