"""A text-to-image model, open: text to states, latents to predictions, latents to pictures."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from copy import copy
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ModelError
from mezzotint.expressions import parse_words
from mezzotint.models.cross_attention import cross_attention
from mezzotint.models.denoising import Denoising
from mezzotint.models.disk.bundle import AnyBundle, Bundle
from mezzotint.models.runtime import Floats, Runtime, as_bytes, call_rows, pad_rows, to_signed
from mezzotint.models.texts.encoders import TextEncoders
from mezzotint.models.texts.inversion import counts, kept_rows, read_rows
from mezzotint.models.texts.tokenizer import ClipTokenizer, Spans, TruncatedPromptWarning

_TEXTS_KEPT = 256
_WORDED_KEPT = 8


class Model(Denoising):
    """A model as the engine sees it; made by `open_model`. Calls may come from one thread at a time."""

    reads_text = True
    _runtime: Runtime

    def __init__(
        self,
        bundle: Bundle,
        runtime: Runtime,
        device: str = "cpu",
        device_bytes: int | None = None,
        cache: Path | None = None,
    ) -> None:
        unet, vae, text = bundle.architectures()
        super().__init__(bundle, unet, runtime, device, device_bytes, cache)
        self._tokenizer = ClipTokenizer.of(bundle)
        self._encoders = TextEncoders(runtime.encode, self._tokenizer, text.width, bundle.path, self._cache)
        self._states: OrderedDict[tuple[str, str], tuple[Floats, str]] = OrderedDict()
        self.latent_channels = unet.latent_channels
        self.vae_factor = self.side_multiple = vae.factor
        self.scaling_factor = np.float32(vae.scaling_factor)
        self.text_width, self._vocabulary = text.width, text.vocab
        self.text_length = text.length
        self._cached_with_words: Any = lru_cache(maxsize=_WORDED_KEPT)(self._with_words)
        layers = cross_attention(unet)
        self.attention_layers: tuple[str, ...] = tuple(layer.name for layer in layers)
        self.attention_factors: tuple[int, ...] = tuple(layer.factor for layer in layers)

    def encode_text(self, text: str, encoder: str = "") -> Floats:
        """(length, width) states of a text, read-only. One text a call: its bits never depend on company.

        `encoder`: an expression such as `bert`, see `mezzotint.expressions`; "": the model's own. Warns with
        TruncatedPromptWarning where the text is longer than the model reads.
        """
        states, warning = self.encode(text, encoder=encoder)
        if warning:
            warnings.warn(warning, stacklevel=2)
        return states

    def encode(
        self, text: str, role: str = "prompt", encoder: str = ""
    ) -> tuple[Floats, TruncatedPromptWarning | None]:
        """As `encode_text`, but the warning is returned; it calls the text by its role."""
        states, warning = self._cached_states(text, encoder)
        return states, TruncatedPromptWarning(warning.replace("prompt", role, 1)) if warning else None

    def _cached_states(self, text: str, encoder: str) -> tuple[Floats, str]:
        """The states, and what there is to tell; both are kept, the oldest are dropped."""
        key = (text, encoder)
        if key in self._states:
            self._states.move_to_end(key)
            return self._states[key]
        states, warning = self._encoders.read(text, encoder)
        states.flags.writeable = False
        self._states[key] = states, warning
        if len(self._states) > _TEXTS_KEPT:
            self._states.popitem(last=False)
        return states, warning

    def attend(
        self, x: Floats, timestep: Floats, text: Floats, rows: int | None = None
    ) -> tuple[Floats, list[Floats]]:
        """As `denoise`, to the same bits, and where each of `attention_layers` looks: (n, h*w, length).

        Its grid is that of the latents divided by its factor of `attention_factors`, rounded up. The maps are
        the softmax over the tokens, averaged over heads, in float32.
        """
        n, rows = len(x), call_rows(len(x), rows)
        out, maps = self._runtime.attend(pad_rows(x, rows), pad_rows(timestep, rows), pad_rows(text, rows))
        return np.asarray(out[:n], np.float32), [map_[:n] for map_ in maps]

    def encoder_facts(self, encoder: str) -> dict[str, str]:
        """The digests of what reads texts in place of the model's own encoder, for the provenance."""
        return self._encoders.facts(encoder)

    def spans(self, text: str, encoder: str = "") -> Spans:
        """The token positions of each word of a text, in order, and of `<start>` and `<end>`.

        RequestError where the encoder's states are not those of words.
        """
        return self._encoders.spans(text, encoder)

    def encode_picture(self, pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Mean and standard deviation, each (C, h, w) and scaled as the denoiser reads them, of (H, W, 3) pixels.

        RequestError where a side does not divide by `vae_factor`.
        """
        shown = to_signed(pixels, self.vae_factor, f"{self.name} encodes")
        moments = self._runtime.moments(shown[None])[0]
        if not np.isfinite(moments).all():
            raise ModelError(f"{self.name}: the encoder gave NaN or infinity{self._advice()}")
        mean, logvar = np.split(moments, 2)
        std = np.exp(np.clip(logvar, -30, 20) / 2)  # as diffusers bounds it
        return mean * self.scaling_factor, std * self.scaling_factor

    def check_words(self, words: str) -> None:
        """RequestError where a file is not kept here, ModelError where one does not fit. `words`: as in `Request.words`."""
        for name in kept_rows(parse_words(words), self.text_width):
            self._tokenizer.check_new(name)

    def with_words(self, words: str) -> Self:
        """The model that knows new words: it reads texts otherwise, all else is shared. "" is the model itself."""
        made: Self = self._cached_with_words(words) if words else self
        return made

    def _with_words(self, words: str) -> Self:
        found = kept_rows(parse_words(words), self.text_width)
        other = copy(self)
        other._states = OrderedDict()
        run = partial(self._runtime.encode, rows=read_rows(found))
        other._encoders = self._encoders.over(
            run, self._tokenizer.with_words(counts(found), self._vocabulary)
        )
        return other

    def decode(self, latents: Floats) -> NDArray[np.uint8]:
        """(H, W, 3) pixels from (1, c, h, w) latents."""
        return as_bytes(self.decode_float(latents)[0])

    def decode_float(self, latents: Floats) -> Floats:
        """(n, H, W, 3) in 0..1 from (n, c, h, w) latents; one picture a call, for the sake of its bits."""
        pictures = np.concatenate([self._runtime.decode(latents[i : i + 1]) for i in range(len(latents))])
        if not np.isfinite(pictures).all():
            raise ModelError(f"{self.name}: the decoder gave NaN or infinity{self._advice()}")
        return np.clip(pictures / 2 + 0.5, 0, 1)

    def _over(self, bundle: AnyBundle) -> Self:
        other = super()._over(bundle)
        other._states = OrderedDict()
        other._encoders = self._encoders.over(other._runtime.encode)
        other._cached_with_words = lru_cache(maxsize=_WORDED_KEPT)(other._with_words)
        return other

    def _advice(self) -> str:
        return "" if self.dtype == "float32" else f" after {self.dtype}; try dtype='float32'"
