"""Where the engine's time and rows went."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter


@dataclass
class Stats:
    """Counts since the engine was opened; seconds are wall time on the engine's thread."""

    calls: int = 0  # of the network
    rows: int = 0  # that were asked for
    padded: int = 0  # rows computed only to fill a bucket
    pictures: int = 0
    failed: int = 0
    cancelled: int = 0
    busy: float = 0.0  # not waiting for requests; contains the five below
    network: float = 0.0
    decoder: float = 0.0
    text: float = 0.0
    encoder: float = 0.0  # of pictures
    steering: float = 0.0  # gradients

    @property
    def elsewhere(self) -> float:
        """Busy seconds outside the networks: the engine's own cost."""
        return self.busy - self.network - self.decoder - self.text - self.encoder - self.steering

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        """Add the seconds of the `with` block to the field of this name, also when it raises."""
        began = perf_counter()
        try:
            yield
        finally:
            setattr(self, name, getattr(self, name) + perf_counter() - began)
