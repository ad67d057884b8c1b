"""What the engine asks of a model. Rows in, rows out; which runtime executes them is the model's affair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mezzotint.guidance import LossGradient, LossQuery, Steer
from mezzotint.schedule import Schedule

Latents = NDArray[np.float32]
Shape = tuple[int, int, int]  # channels, height, width of one picture's latents


class Network(Protocol):
    """A model as the engine sees it. Only the engine's thread calls the methods that compute.

    The result of a row must depend on that row and on the padded row count, never on the other rows.
    """

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str: ...  # hexadecimal
    @property
    def runtime(self) -> str: ...  # "openvino" or "torch"
    @property
    def dtype(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def schedule(self) -> Schedule: ...
    @property
    def latent_channels(self) -> int: ...
    @property
    def vae_factor(self) -> int: ...  # pixels a latent, along each side
    @property
    def side_multiple(self) -> int: ...  # pixels that both sides are divisible by
    @property
    def reads_text(self) -> bool: ...  # False: prompts and classifier-free guidance mean nothing to it
    @property
    def default_size(self) -> tuple[int, int]: ...  # width, height in pixels

    def max_rows_at(self, height: int, width: int) -> int:
        """The most rows worth sending in one call at a latent size, at least 2."""

    def bucket(self, rows: int) -> int:
        """The row count to which a call of so many rows is padded, at least `rows`."""

    def encode(
        self, text: str, role: str = "prompt", encoder: str = ""
    ) -> tuple[NDArray[np.float32], Warning | None]:
        """(tokens, width), and a warning that names the text by its role where not all of it is read.

        One text a call, so that its bits never depend on company. `encoder`: as in `Request.encoder`.
        """

    def denoise(
        self, x: Latents, timestep: NDArray[np.float32], text: NDArray[np.float32], rows: int
    ) -> Latents:
        """(n, C, h, w) from x alike, timestep (n,), text (n, tokens, width); padded to `rows` inside."""

    def decode(self, latents: Latents) -> NDArray[np.uint8]:
        """(H, W, 3) pixels from (1, C, h, w) latents."""


@runtime_checkable
class SupportsInitImage(Protocol):
    """A network that runs may start from a picture with."""

    def encode_picture(self, pixels: NDArray[np.uint8]) -> tuple[Latents, Latents]:
        """Mean and standard deviation (C, h, w) of the latents of (H, W, 3)."""


@runtime_checkable
class SupportsEncoders(Protocol):
    """A network whose texts other encoders may read."""

    def encoder_facts(self, encoder: str) -> dict[str, str]:
        """The digests of what reads them, as in `Request.encoder`, for the provenance."""


@runtime_checkable
class SupportsUpscaling(Protocol):
    """A network whose finished pictures may be enlarged."""

    @property
    def upscaler_digest(self) -> str: ...  # hexadecimal

    def upscale(self, pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
        """(factor*H, factor*W, 3) from (H, W, 3)."""


@runtime_checkable
class SupportsPreview(Protocol):
    """A network with a quicker way to pictures than its decoder."""

    def preview(self, latents: Latents) -> NDArray[np.uint8]:
        """(n, H, W, 3) rough pixels from (n, C, h, w) latents."""


@runtime_checkable
class SupportsGradients(Protocol):
    """A network that gradient terms can steer."""

    def ready(self, term: Steer) -> None:
        """Open what a term needs. MezzotintError where it is not there or does not fit."""

    def facts(self, term: Steer) -> dict[str, str]:
        """What computes a term, for the provenance: decoder and pair with their digests, and the precision."""

    def loss_gradients(self, queries: Sequence[LossQuery], alone: bool) -> list[LossGradient]:
        """The loss of each query and the gradient of its negative; `alone`: bits do not depend on the other queries."""

    def pullback(
        self, x: Latents, timestep: NDArray[np.float32], text: NDArray[np.float32]
    ) -> tuple[Latents, Pullback]:
        """As `denoise`, and what turns a gradient with respect to its result into one with respect to x."""


Pullback = Callable[[Latents], Latents]  # (n, C, h, w) both


@runtime_checkable
class SupportsLora(Protocol):
    """A network into whose weights adapters can be merged."""

    def check_lora(self, lora: str) -> None:
        """RequestError or ModelError where a file is not there or does not fit. Any thread may ask."""

    def with_lora(self, lora: str) -> Network:
        """With adapters as in `Request.lora`: another network with the same latents; "" is this one."""


@runtime_checkable
class SupportsNewWords(Protocol):
    """A network whose texts may hold new words."""

    def check_words(self, words: str) -> None:
        """RequestError or ModelError where a file is not there or does not fit. Any thread may ask."""

    def with_words(self, words: str) -> Network:
        """The network that reads words as in `Request.words`, and is the same in all else; "" is this one."""


@runtime_checkable
class SupportsAttention(Protocol):
    """A network whose cross-attention can be looked at."""

    @property
    def attention_layers(self) -> tuple[str, ...]: ...  # names, in the network's order
    @property
    def attention_factors(
        self,
    ) -> tuple[int, ...]: ...  # the grid of each is the latents' divided so, rounded up

    def spans(self, text: str, encoder: str = "") -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Words in order with the positions of their tokens. RequestError where that encoder's are not of words."""

    def attend(
        self, x: Latents, timestep: NDArray[np.float32], text: NDArray[np.float32], rows: int
    ) -> tuple[Latents, list[NDArray[np.float32]]]:
        """As `denoise`, and for each cross-attention layer (n, h*w, tokens), a mean over heads."""
