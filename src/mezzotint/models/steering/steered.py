"""The part of a model that gradient terms and previews ask: pictures from latents, losses and their gradients."""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.errors import ModelError
from mezzotint.extras import install
from mezzotint.files import default_cache, key_of, read_json_quietly, remember
from mezzotint.guidance.steer import LossGradient, LossQuery
from mezzotint.guidance.terms import Steer
from mezzotint.models.disk.bundle import AnyBundle, Bundle, PixelBundle
from mezzotint.models.openvino.small import SmallArch, compile_small, small_part
from mezzotint.models.runtime import Floats, PixelRuntime, in_colors

if TYPE_CHECKING:
    import torch

    from mezzotint.models.steering.loss_evaluator import LossEvaluator

_SIDE, _SAMPLES = 16, 16


def linear_map(decode: Callable[[Floats], Floats], channels: int, digest: str, cache: Path) -> Floats:
    """(c + 1, 3): latents and a one to red, green, blue in -1..1; `decode`: (1, c, h, w) to (1, H, W, 3)."""
    note = cache / "linear_maps" / f"{key_of('linear map', digest)}.json"
    found = np.array(read_json_quietly(note).get("map", []), np.float32)
    if found.shape == (channels + 1, 3) and np.isfinite(found).all():
        return found
    fitted = _fit(decode, channels)
    remember(note, {"map": [[float(v) for v in row] for row in fitted]})
    return fitted


def colors(latents: Floats, matrix: Floats) -> Floats:
    """(n, h, w, 3) in -1..1 from (n, c, h, w)."""
    return np.asarray(np.moveaxis(latents, 1, -1) @ matrix[:-1] + matrix[-1], np.float32)


def _fit(decode: Callable[[Floats], Floats], channels: int) -> Floats:
    latents = _smooth_noise(channels)
    pictures = np.concatenate([decode(latents[i : i + 1]) for i in range(len(latents))]).clip(-1, 1)
    factor = pictures.shape[1] // _SIDE
    means = pictures.reshape(len(latents), _SIDE, factor, _SIDE, factor, 3).mean((2, 4))
    seen = np.moveaxis(latents, 1, -1).reshape(-1, channels)
    rows = np.concatenate([seen, np.ones((len(seen), 1), np.float32)], 1)
    return np.asarray(np.linalg.lstsq(rows, means.reshape(-1, 3), rcond=None)[0], np.float32)


def _smooth_noise(channels: int) -> Floats:
    """(n, c, side, side) of unit variance, in patches of 1, 2, 4 and 8: latents of pictures have such areas."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(_SAMPLES):
        patch = 2 ** (i % 4)
        coarse = rng.standard_normal((channels, _SIDE // patch, _SIDE // patch), np.float32)
        made.append(coarse.repeat(patch, 1).repeat(patch, 2))
    return np.stack(made)


Back = Callable[[Floats], Floats]


class Steered:
    """The part of a model that gives gradients and quick pictures."""

    name: str
    latent_channels: int
    vae_factor: int

    def __init__(self, bundle: AnyBundle, runtime: PixelRuntime, cache: Path | None) -> None:
        self._bundle, self._runtime = bundle, runtime
        self._cache = default_cache() if cache is None else cache
        self._lock = threading.RLock()
        self._made: MutableMapping[str, Any] = {}

    def ready(self, term: Steer) -> None:
        """Open what a term needs. ModelError where it is missing or damaged, or torch is not installed."""
        self._steering.ready(term)

    def loss_gradients(self, queries: Sequence[LossQuery], alone: bool) -> list[LossGradient]:
        """The loss of each query and the gradient of its negative with respect to what it sees."""
        return self._steering.loss_gradients(queries, alone)

    def facts(self, term: Steer) -> dict[str, str]:
        """What computes a term, for the provenance: decoder and pair with their digests, and the precision."""
        return self._steering.facts(term)

    def pullback(self, x: Floats, timestep: Floats, text: Floats) -> tuple[Floats, Back]:
        """As `denoise`, in float32, and what turns d_out (n, c, h, w) into d_x, once."""
        from mezzotint.models.steering.loss_evaluator import with_pullback

        return with_pullback(self._network(timestep, text), x, self._device)

    def preview(self, latents: Floats) -> NDArray[np.uint8]:
        """(n, H, W, 3) quick pictures of (n, c, h, w): by the small decoder, else by the linear map."""
        if isinstance(self._bundle, PixelBundle):
            pictures = in_colors(np.moveaxis(latents, 1, -1))
        elif self._small is not None:
            pictures = self._small(np.ascontiguousarray(latents, np.float32))
        else:
            return _upscale(_bytes(colors(latents, self._linear())), self.vae_factor)
        return _bytes(pictures)

    @property
    def _device(self) -> torch.device:
        import torch

        found: torch.device = getattr(self._runtime, "device", torch.device("cpu"))
        return found

    @property
    def _steering(self) -> LossEvaluator:
        return self._once("steering", self._steer)  # type: ignore[no-any-return]

    def _steer(self) -> LossEvaluator:
        try:
            from mezzotint.models.steering.loss_decoders import LatentLossDecoder, PixelLossDecoder
            from mezzotint.models.steering.loss_evaluator import LossEvaluator
        except ImportError as error:
            raise ModelError(f"steering runs on torch; {install('torch')}") from error
        threads, graphs = self._runtime.threads, self._runtime.name == "openvino"
        if isinstance(self._bundle, PixelBundle):
            return LossEvaluator(PixelLossDecoder(self.latent_channels), self._device, threads, graphs)
        place, factor = self._bundle.path, self.vae_factor
        decoder = LatentLossDecoder(place, self._bundle.vae, self._cache, factor, self._device, self._linear)
        return LossEvaluator(decoder, self._device, threads, graphs)

    def _linear(self) -> Floats:
        def fit() -> Floats:
            decode, channels = self._runtime.decode, self.latent_channels
            assert isinstance(self._bundle, Bundle)
            return linear_map(decode, channels, self._bundle.vae.digest, self._cache)

        return self._once("linear", fit)  # type: ignore[no-any-return]

    @property
    def _small(self) -> Callable[[Floats], Floats] | None:
        return self._once("small", self._opened_small)  # type: ignore[no-any-return]

    def _opened_small(self) -> Callable[[Floats], Floats] | None:
        part = small_part(self._bundle.path, self._cache)
        if part is None:
            return None
        if self._runtime.name == "torch":
            from mezzotint.models.steering.small_decoder import SmallDecoder

            net = SmallDecoder.open(part)
            return net.numpy
        arch = SmallArch.read(part.config, str(part.where / "config.json"))
        return compile_small(arch, part.weights(), self._runtime.threads)

    def _network(self, timestep: Floats, text: Floats) -> Any:
        """x (n, c, h, w) to the denoiser's output, both tensors."""
        import torch

        unet = self._once(f"unet {self._bundle.unet.digest}", self._denoiser)
        t = torch.from_numpy(np.array(timestep, np.float32)).to(self._device)
        if isinstance(self._bundle, PixelBundle):
            return lambda x: unet(x, t, return_dict=False)[0]
        states = torch.from_numpy(np.array(text, np.float32)).to(self._device)
        return lambda x: unet(x, t, encoder_hidden_states=states, return_dict=False)[0]

    def _denoiser(self) -> Any:
        """The denoiser in float32: the runtime's own where it is one."""
        import torch

        from mezzotint.models.networks import torch_pixel_unet, torch_unet

        if self._runtime.name == "torch" and self._runtime.dtype == "float32":
            return self._runtime.unet  # type: ignore[attr-defined]
        make = torch_pixel_unet if isinstance(self._bundle, PixelBundle) else torch_unet
        return torch.nn.Module.to(make(self._bundle.unet), self._device)

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]


def _bytes(pictures: Floats) -> NDArray[np.uint8]:
    """(n, H, W, 3) in -1..1 as 0..255; what is not finite is black."""
    return np.asarray(np.nan_to_num(((pictures + 1) * 127.5).round().clip(0, 255)), np.uint8)


def _upscale(pictures: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    height, width = pictures.shape[1] * factor, pictures.shape[2] * factor
    grown = [Image.fromarray(p).resize((width, height), Image.Resampling.BICUBIC) for p in pictures]
    return np.stack([np.asarray(image) for image in grown])
