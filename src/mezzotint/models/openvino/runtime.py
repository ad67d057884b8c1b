"""Runs the networks with OpenVINO on a CPU: two to four times faster than eager torch at the same precision."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.models.disk.bundle import Bundle, PixelBundle
from mezzotint.models.disk.parts import NetworkFiles
from mezzotint.models.disk.weights import Weights
from mezzotint.models.network_cache import forget
from mezzotint.models.openvino.network import ATTENDING, ENCODER, WORDED, CompiledNetwork, usable_threads
from mezzotint.models.openvino.text import build_text, build_worded_text
from mezzotint.models.openvino.unet import build_attending_unet, build_pixel_unet, build_unet, time_features
from mezzotint.models.openvino.vae import build_decoder, build_encoder
from mezzotint.models.runtime import Dtype, Floats

ADAPTED_KEPT = 8  # networks with merged weights that stay in the cache


@dataclass(frozen=True)
class _Maker:
    """Makes the networks of a runtime."""

    cache: Path
    threads: int
    pool: ThreadPoolExecutor

    def __call__(
        self, part: NetworkFiles, build: Callable[[Weights], Any], precision: Dtype
    ) -> CompiledNetwork:
        return CompiledNetwork(part, build, self.cache, precision, self.threads, self.pool)

    def aside(self) -> _Maker:
        """For merged networks, of which the cache holds the last few: a sweep of weights would fill the disk."""
        aside = self.cache / "adapted"
        forget(aside, ADAPTED_KEPT)
        return replace(self, cache=aside)


class OpenVinoRuntime:
    """The networks of a bundle as compiled graphs; text encoder and decoder always run in float32."""

    name = "openvino"

    def __init__(self, bundle: Bundle, dtype: Dtype, cache: Path, threads: int | None = None) -> None:
        unet, vae, text = bundle.architectures()
        self.dtype: Dtype = dtype
        self.threads: int = usable_threads(threads)
        self._unet_arch, self._text_arch = unet, text
        self._context = (text.length, text.width)
        pool = ThreadPoolExecutor(2, thread_name_prefix="mezzotint-compile")
        self._bundle = bundle
        self._network = network = _Maker(cache, self.threads, pool)
        self._set_text(bundle.text_encoder)
        self._set_unet(bundle.unet)
        self._vae = network(bundle.vae, lambda w: build_decoder(vae, w), "float32")
        encoder = replace(bundle.vae, name=ENCODER)
        self._encoder = functools.cache(lambda: network(encoder, lambda w: build_encoder(vae, w), "float32"))
        self._text.prepare(((1, text.length),))  # always the first that is asked for

    def over(self, bundle: Bundle) -> OpenVinoRuntime:
        """The same with other weights in the denoiser and the text encoder, where they differ."""
        other = copy(self)
        other._bundle, other._network = bundle, self._network.aside()
        if bundle.text_encoder is not self._bundle.text_encoder:
            other._set_text(bundle.text_encoder)
        if bundle.unet is not self._bundle.unet:
            other._set_unet(bundle.unet)
        return other

    def _set_text(self, part: NetworkFiles) -> None:
        """And the same with new words, which is built when it is asked for."""
        arch, network = self._text_arch, self._network
        self._text = network(part, lambda w: build_text(arch, w), "float32")
        worded = replace(part, name=WORDED)
        self._worded = functools.cache(
            lambda: network(worded, lambda w: build_worded_text(arch, w), "float32")
        )

    def _set_unet(self, part: NetworkFiles) -> None:
        """And the same with attention, which is built when it is asked for."""
        arch, dtype, network = self._unet_arch, self.dtype, self._network
        self._unet = network(part, lambda w: build_unet(arch, w), dtype)
        attending = replace(part, name=ATTENDING)
        self._attending = functools.cache(
            lambda: network(attending, lambda w: build_attending_unet(arch, w), dtype)
        )

    def encode(self, tokens: NDArray[np.int64], rows: Floats | None = None) -> Floats:
        """(n, length) token ids -> (n, length, width); `rows` (k, width) go on behind the table of embeddings."""
        return self._text(tokens) if rows is None else self._worded()(tokens, rows)

    def denoise(self, x: Floats, timestep: Floats, text: Floats) -> Floats:
        """(n, c, h, w), (n,), (n, length, width) -> (n, c, h, w)."""
        return self._unet(x, time_features(self._unet_arch, timestep), text)

    def attend(self, x: Floats, timestep: Floats, text: Floats) -> tuple[Floats, list[Floats]]:
        """As `denoise`, to the same bits, and (n, h*w, length) of each cross-attention layer."""
        out, *maps = self._attending().all(x, time_features(self._unet_arch, timestep), text)
        return out, maps

    def decode(self, latents: Floats) -> Floats:
        """(n, c, h, w) -> (n, H, W, 3)."""
        return self._vae(latents)

    def moments(self, pictures: Floats) -> Floats:
        """(n, H, W, 3) -> (n, 2c, h, w)."""
        return self._encoder()(pictures)

    def prepare(self, rows: int, height: int, width: int) -> None:
        """Compile the denoiser for this shape, then the decoder for one picture, in the background."""
        channels = self._unet_arch.latent_channels
        self._unet.prepare(
            ((rows, channels, height, width), (rows, self._unet_arch.channels[0]), (rows, *self._context))
        )
        self._vae.prepare(((1, channels, height, width),))


class OpenVinoPixels:
    """The network of a pixel bundle as compiled graphs."""

    name = "openvino"

    def __init__(self, bundle: PixelBundle, dtype: Dtype, cache: Path, threads: int | None = None) -> None:
        self.dtype: Dtype = dtype
        self.threads: int = usable_threads(threads)
        self._arch = bundle.architecture()
        pool = ThreadPoolExecutor(1, thread_name_prefix="mezzotint-compile")
        self._network = _Maker(cache, self.threads, pool)
        self._set_unet(bundle.unet)

    def over(self, bundle: PixelBundle) -> OpenVinoPixels:
        """The same with other weights."""
        other = copy(self)
        other._network = self._network.aside()
        other._set_unet(bundle.unet)
        return other

    def _set_unet(self, part: NetworkFiles) -> None:
        arch = self._arch
        self._unet = self._network(part, lambda w: build_pixel_unet(arch, w), self.dtype)

    def denoise(self, x: Floats, timestep: Floats, text: Floats) -> Floats:
        """(n, c, h, w), (n,) -> (n, c, h, w); the text is not read. c: 3, or 1 of gray."""
        return self._unet(x, time_features(self._arch, timestep))

    def decode(self, latents: Floats) -> Floats:
        """(n, c, h, w) -> (n, h, w, c): these latents are the picture."""
        return latents.transpose(0, 2, 3, 1)

    def prepare(self, rows: int, height: int, width: int) -> None:
        """Compile the network for this shape in the background."""
        self._unet.prepare(((rows, self._arch.colors, height, width), (rows, self._arch.channels[0])))
