"""Latents as the pictures that a loss looks at, with a gradient: by torch, and as parts of graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mezzotint.errors import ModelError
from mezzotint.guidance.terms import Decoder
from mezzotint.models.disk.parts import NetworkFiles
from mezzotint.models.networks import torch_vae
from mezzotint.models.openvino.derived import Back, Derived
from mezzotint.models.openvino.layers import Node
from mezzotint.models.openvino.small import SmallArch, small_derived, small_part
from mezzotint.models.runtime import Dtype, Floats
from mezzotint.models.steering.losses import dtype_name, gradient_dtype
from mezzotint.models.steering.small_decoder import SmallDecoder


class GraphDecoder:
    """One way to see what a model predicts. dtype: in which it is precise enough and quick; factor: pixels of a side for
    each of what is seen; pixels: of the finished picture for each of these."""

    dtype: Dtype = "float32"
    factor: int = 1
    pixels: int = 1

    def __call__(self, net: Derived, seen: Node) -> tuple[Node, Back]:
        """(n, 3, H, W) about -1..1 from (n, c, h, w), and the way back."""
        raise NotImplementedError


class PixelGraphDecoder(GraphDecoder):
    """Of a model whose latents are the picture."""

    def __call__(self, net: Derived, seen: Node) -> tuple[Node, Back]:
        return seen, lambda g: g


class LinearGraphDecoder(GraphDecoder):
    """A pixel for each latent, by a matrix (c + 1, 3)."""

    def __init__(self, matrix: Floats, factor: int) -> None:
        self._matrix, self.pixels = matrix, factor**2

    def __call__(self, net: Derived, seen: Node) -> tuple[Node, Back]:
        kernel = np.ascontiguousarray(self._matrix[:-1].T[:, :, None, None])
        return net.conv(seen, kernel, self._matrix[-1])


class SmallGraphDecoder(GraphDecoder):
    """By the small decoder of a model."""

    def __init__(self, part: NetworkFiles, arch: SmallArch, dtype: Dtype) -> None:
        self._part, self._arch, self.factor, self.dtype = part, arch, arch.factor, dtype

    def __call__(self, net: Derived, seen: Node) -> tuple[Node, Back]:
        return small_derived(net, self._arch, self._part.weights())(seen)


class PixelLossDecoder:
    """Of a model whose latents are the picture, of so many channels."""

    def __init__(self, channels: int) -> None:
        self._is_gray = channels == 1

    def resolve(self, decoder: Decoder) -> Decoder:
        """There is nothing to decode, whatever is asked for."""
        return "full"

    def open(self, decoder: Decoder) -> None:
        """Nothing to open."""

    def decode(self, decoder: Decoder, seen: Tensor) -> Tensor:
        """(n, 3, h, w): the same, gray as red, green and blue."""
        return seen.expand(-1, 3, -1, -1) if self._is_gray else seen

    def graph_decoder(self, decoder: Decoder) -> GraphDecoder | None:
        """The same without torch; None of gray."""
        return None if self._is_gray else PixelGraphDecoder()

    def pixels(self, decoder: Decoder) -> int:
        """Pixels of the picture for each that `decode` gives."""
        return 1

    def digest(self, decoder: Decoder) -> str:
        """There is no decoder."""
        return ""


class LatentLossDecoder:
    """Of a model with an autoencoder."""

    def __init__(
        self, model: Path, vae: NetworkFiles, cache: Path, factor: int, device: torch.device, fit: Any
    ):
        self._model, self._vae, self._cache = model, vae, cache
        self._factor, self._device, self._fit = factor, device, fit
        self._small_part = small_part(model, cache)
        self._open: dict[str, Any] = {}

    def resolve(self, decoder: Decoder) -> Decoder:
        """What "auto" stands for here. ModelError where the model has no such decoder."""
        if decoder == "auto":
            return "small" if self._small_part else "linear"
        if decoder == "small" and not self._small_part:
            raise ModelError(
                f"{self._model} has no small decoder; train one (mezzotint train decoder), or take linear or full"
            )
        return decoder

    def open(self, decoder: Decoder) -> None:
        """Have a resolved decoder in memory."""
        if decoder not in self._open:
            made = {"small": self._small, "linear": self._linear, "full": self._full}[decoder]()
            self._open[decoder] = made

    def decode(self, decoder: Decoder, seen: Tensor) -> Tensor:
        """(n, 3, H, W) about -1..1 from (n, c, h, w); "linear" gives a pixel for each latent."""
        self.open(decoder)
        picture: Tensor = self._open[decoder](seen)
        return picture

    def graph_decoder(self, decoder: Decoder) -> GraphDecoder | None:
        """The same by compiled graphs; None where only torch can."""
        if decoder == "linear":
            return LinearGraphDecoder(self._fit(), self._factor)
        if decoder == "full":
            return None
        assert self._small_part is not None
        arch = SmallArch.read(self._small_part.config, str(self._small_part.where / "config.json"))
        return SmallGraphDecoder(
            self._small_part, arch, dtype_name(gradient_dtype(self._device, arch.channels))
        )

    def pixels(self, decoder: Decoder) -> int:
        """Pixels of the picture for each that `decode` gives."""
        return self._factor**2 if decoder == "linear" else 1

    def digest(self, decoder: Decoder) -> str:
        """Of the weights that decode."""
        part = self._small_part if decoder == "small" else self._vae
        return part.digest if part else ""

    def _small(self) -> Any:
        assert self._small_part is not None
        net = SmallDecoder.open(self._small_part)
        dtype = gradient_dtype(self._device, net.arch.channels)
        net.to(self._device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return lambda z: net(z.to(dtype, memory_format=torch.channels_last))

    def _linear(self) -> Any:
        matrix: Floats = self._fit()
        weight = torch.from_numpy(matrix[:-1].T.copy()).to(self._device)[:, :, None, None]
        bias = torch.from_numpy(matrix[-1].copy()).to(self._device)
        return lambda z: nn.functional.conv2d(z, weight, bias)

    def _full(self) -> Any:
        net = nn.Module.to(torch_vae(self._vae), self._device)
        scaling = float(net.config.scaling_factor)
        return lambda z: net.decode(z / scaling, return_dict=False)[0]


LossDecoder = PixelLossDecoder | LatentLossDecoder
