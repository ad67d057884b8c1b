"""What a bench measures, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from mezzotint.errors import ConfigError, nearest
from mezzotint.machine import cores

Dtype = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class BenchSettings:
    """Everything that decides what is measured; ConfigError names a field that cannot be.

    `quick` shrinks every part to a check that it works: its times say little.
    """

    model: str = "emoji"
    repeats: int = 5  # pairs of single pictures, and of cold starts
    requests: int = 64  # mixed ones
    steps: int = 20  # of single pictures and cold starts
    dtype: Dtype = "float32"  # of both sides; auto: whatever Mezzotint's self-test chooses
    cold: bool = True  # whether to start whole processes
    quick: bool = False
    rounds: int = 3  # pairs of all mixed requests
    mixed_steps: tuple[int, int] = (10, 50)  # fewest, most
    warm_ups: int = 1  # processes started before those that count
    seed: int = 7
    threads: int = field(default_factory=cores)

    def __post_init__(self) -> None:
        for name, most in (("repeats", 1000), ("requests", 10_000), ("steps", 2000), ("rounds", 100)):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise ConfigError(f"{name} must be from 1 to {most}, got {value}")
        if self.dtype not in (known := get_args(Dtype)):
            raise ConfigError(
                f"dtype is {self.dtype!r}; it can be {', '.join(known)}{nearest(self.dtype, known)}"
            )

    @property
    def starts(self) -> int:
        """Pairs of cold starts."""
        return 1 if self.quick else self.repeats

    def effective(self) -> BenchSettings:
        """These settings, or with `quick` the smallest that still go through every part."""
        if not self.quick:
            return self
        return replace(
            self,
            repeats=min(self.repeats, 2),
            requests=min(self.requests, 10),
            steps=min(self.steps, 4),
            rounds=1,
            mixed_steps=(2, 5),
            warm_ups=0,
        )
