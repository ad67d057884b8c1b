"""Guidance: terms that act together, and what they say at each step."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import RequestError
from mezzotint.guidance.mixing import Cfg, Mix
from mezzotint.guidance.steer import Steer
from mezzotint.guidance.terms import Term

MAX_MIXES = 6  # with the prompt and the row without it they fill a call of 8 rows, which `exact` always takes


@dataclass(frozen=True)
class Guidance:
    """Terms that act together. Several `cfg` may follow one another in time, never overlap."""

    terms: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        spans = sorted((term.start, term.stop) for term in self.terms if isinstance(term, Cfg))
        if any(stop > start for (_, stop), (start, _) in pairwise(spans)):
            raise RequestError(f"two cfg act at the same steps in {self}; keep one, or set start and stop")
        if len(self.mixes) > MAX_MIXES:
            raise RequestError(
                f"{len(self.mixes)} further prompts in one guidance; at most {MAX_MIXES} are mixed"
            )

    def __add__(self, other: Term | Guidance) -> Guidance:
        return Guidance(self.terms + (other.terms if isinstance(other, Guidance) else (other,)))

    def __str__(self) -> str:
        return " + ".join(map(str, self.terms)) or "none"

    @property
    def mixes(self) -> tuple[Mix, ...]:
        """The further prompts, in their order."""
        return tuple(term for term in self.terms if isinstance(term, Mix))

    @property
    def steers(self) -> tuple[Steer, ...]:
        """The gradient terms, in their order."""
        return tuple(term for term in self.terms if isinstance(term, Steer))

    def adaptive(self, steps: int) -> NDArray[np.float64]:
        """(steps,) the cosine above which classifier-free guidance ends for good; 0: never."""
        return self._of_cfg("adaptive", steps, 0.0)

    def scales(self, steps: int) -> NDArray[np.float64]:
        """(steps,) the classifier-free scale of each step; 1 where no `cfg` acts."""
        return self._of_cfg("scale", steps, 1.0)

    def _of_cfg(self, name: str, steps: int, rest: float) -> NDArray[np.float64]:
        values = np.full(steps, rest)
        for term in self.terms:
            if isinstance(term, Cfg):
                values[term.acts(steps)] = getattr(term, name)
        return values
