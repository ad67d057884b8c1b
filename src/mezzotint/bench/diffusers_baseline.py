"""The other side: `diffusers.StableDiffusionPipeline` with its best plain settings, watched as it works."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from mezzotint.bench.mezzotint_side import SideResult
from mezzotint.engine import Stats
from mezzotint.errors import ConfigError
from mezzotint.extras import require
from mezzotint.files import default_cache
from mezzotint.models import AnyModel, Model
from mezzotint.models.disk.source import find
from mezzotint.request import Request
from mezzotint.samplers import SAMPLERS

NEEDED = ("torch", "diffusers", "transformers", "accelerate", "scipy")
_PROBES = 5  # calls of the denoiser in each memory layout


def require_packages(model: str = "") -> None:
    """ConfigError where something that the comparison needs is not installed, ModelError where there is no such model."""
    require("the bench, which compares with diffusers,", "torch", *NEEDED)
    if model:
        find(model, default_cache())


def require_diffusers_model(model: AnyModel) -> Model:
    """The model, where diffusers can draw from prompts with the same files; else ConfigError."""
    if not isinstance(model, Model):
        raise ConfigError(f"the bench draws from prompts; {model.name} draws without one")
    if not (model.path / "model_index.json").is_file():
        raise ConfigError(f"the bench needs a diffusers folder, which both sides can open; not {model.name}")
    return model


class DiffusersBaseline:
    """A pipeline on a CPU, its scheduler swapped for each request by the table of counterparts.

    Eager, with torch's own attention, in the faster memory layout; no progress bar, no safety checker.
    """

    def __init__(self, folder: Path, dtype: str, threads: int) -> None:
        import torch

        diffusers = _import_diffusers()
        torch.set_num_threads(threads)
        self.dtype: Any = getattr(torch, dtype)
        with _quiet():
            self.pipe: Any = diffusers.StableDiffusionPipeline.from_pretrained(
                folder,
                torch_dtype=self.dtype,
                safety_checker=None,
                requires_safety_checker=False,
                local_files_only=True,
            )
        self.pipe.set_progress_bar_config(disable=True)
        self._schedulers = {name: self._scheduler(name) for name in SAMPLERS if SAMPLERS[name].diffusers}
        self.probe_ms = self._choose_layout()
        self.layout = min(self.probe_ms, key=self.probe_ms.__getitem__)
        self._set_layout(self.layout)
        self._stats = Stats()
        self._time_networks()

    def __call__(self, requests: Sequence[Request]) -> SideResult:
        """The requests one by one, each with the noise that its seed gives."""
        self._stats = Stats()
        began = perf_counter()
        with _quiet():
            images = [self._picture(request) for request in requests]
        self._stats.busy = perf_counter() - began
        self._stats.pictures = len(images)
        return SideResult(images, self._stats.calls, self._stats)

    def _picture(self, request: Request) -> Any:
        import torch

        self.pipe.scheduler = self._schedulers[request.sampler]
        generator = torch.Generator("cpu").manual_seed(request.seed)
        noise = torch.randn((1, *self._latents()), generator=generator)  # drawn in float32, as ours is
        return self.pipe(
            request.prompt,
            negative_prompt=request.negative_prompt,
            num_inference_steps=request.steps,
            guidance_scale=float(request.terms.scales(request.steps)[0]),
            generator=generator,
            latents=noise.to(self.dtype),
        ).images[0]

    def _latents(self) -> tuple[int, int, int]:
        config = self.pipe.unet.config
        size = config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        return config.in_channels, height, width

    def _scheduler(self, sampler: str) -> Any:
        import diffusers

        name, extra = SAMPLERS[sampler].diffusers or ("", {})
        with _quiet():
            return getattr(diffusers, name).from_config(self.pipe.scheduler.config, **extra)

    def call_unet(self, rows: int) -> Any:
        """One call of the denoiser with so many rows of nothing in particular."""
        import torch

        width = self.pipe.unet.config.cross_attention_dim
        text = torch.zeros(rows, self.pipe.tokenizer.model_max_length, width, dtype=self.dtype)
        x = torch.ones(rows, *self._latents(), dtype=self.dtype)
        with torch.no_grad():
            return self.pipe.unet(x, 500, encoder_hidden_states=text, return_dict=False)[0]

    def _choose_layout(self) -> dict[str, float]:
        """Milliseconds of a guided call in each memory layout, alternating; the faster is used."""
        seconds: dict[str, list[float]] = {"contiguous": [], "channels_last": []}
        for i in range(_PROBES + 1):
            for name, into in seconds.items():
                self._set_layout(name)
                self.call_unet(2)  # after a change the weights are packed anew
                began = perf_counter()
                self.call_unet(2)
                if i:
                    into.append(perf_counter() - began)
        return {name: 1e3 * median(values) for name, values in seconds.items()}

    def _set_layout(self, name: str) -> None:
        import torch

        layout = torch.channels_last if name == "channels_last" else torch.contiguous_format
        self.pipe.unet.to(memory_format=layout)
        self.pipe.vae.to(memory_format=layout)

    def _time_networks(self) -> None:
        """Time the three networks from outside, as the engine times its own."""
        pipe = self.pipe
        pipe.unet.forward = self._time_calls(pipe.unet.forward, "network")
        pipe.text_encoder.forward = self._time_calls(pipe.text_encoder.forward, "text")
        pipe.vae.decode = self._time_calls(pipe.vae.decode, "decoder")

    def _time_calls(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        @wraps(call)
        def wrapper(*args: Any, **named: Any) -> Any:
            if name == "network":
                self._stats.calls += 1
                self._stats.rows += len(args[0])
            with self._stats.timing(name):
                return call(*args, **named)

        return wrapper


def _import_diffusers() -> Any:
    """The `diffusers` module, imported and told to speak of errors only."""
    with _quiet():
        import transformers

        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        import diffusers

        diffusers.utils.logging.set_verbosity_error()
        diffusers.utils.logging.disable_progress_bar()
        return diffusers


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
