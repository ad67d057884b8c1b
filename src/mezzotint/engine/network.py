"""What the engine asks of a model. Rows in, rows out; which runtime executes them is the model's affair."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mezzotint.schedule import Schedule

Latents = NDArray[np.float32]
Shape = tuple[int, int, int]  # channels, height, width of one picture's latents


class Network(Protocol):
    """A model as the engine sees it. Only the engine's thread calls the three methods that compute.

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
    def default_size(self) -> tuple[int, int]: ...  # width, height in pixels

    def max_rows_at(self, height: int, width: int) -> int:
        """The most rows worth sending in one call at a latent size, at least 2."""

    def bucket(self, rows: int) -> int:
        """The row count to which a call of so many rows is padded, at least `rows`."""

    def encode_text(self, text: str) -> NDArray[np.float32]:
        """(tokens, width); one text a call, so that its bits never depend on company."""

    def denoise(
        self, x: Latents, timestep: NDArray[np.float32], text: NDArray[np.float32], rows: int
    ) -> Latents:
        """(n, C, h, w) from x alike, timestep (n,), text (n, tokens, width); padded to `rows` inside."""

    def decode(self, latents: Latents) -> NDArray[np.uint8]:
        """(H, W, 3) pixels from (1, C, h, w) latents."""


@runtime_checkable
class Telling(Protocol):
    """What a network may have beside: it tells where it does not read a whole text, and warns of nothing."""

    def encode(self, text: str, role: str) -> tuple[NDArray[np.float32], Warning | None]:
        """As `encode_text`; the warning names the text by its role, such as "negative prompt"."""
