"""The terms of guidance. A term is data: a frozen dataclass that writes itself as a short expression."""

from __future__ import annotations

import json
import math
import numbers
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import RequestError


class Term:
    """What every term has: `a + b`, and `str(term)`, the expression that `parse` reads back."""

    def __add__(self, other: Term | Guidance) -> Guidance:
        return Guidance((self,)) + other

    def __str__(self) -> str:
        words = []
        for field in fields(self):  # type: ignore[arg-type]  # every term is a dataclass
            value = getattr(self, field.name)
            if field.default is MISSING:
                words.append(_literal(value))
            elif value != field.default:
                words.append(f"{field.name}={_literal(value)}")
        return f"{type(self).__name__.lower()}({', '.join(words)})"


@dataclass(frozen=True)
class Cfg(Term):
    """Classifier-free guidance: uncond + scale*(cond - uncond), any real scale (Ho & Salimans, 2207.12598).

    Scale 1 costs half: the row without the prompt is not computed. It acts on the steps i of n with
    start <= i/n < stop (2404.07724); the others run at scale 1.
    """

    scale: float
    start: float = 0.0
    stop: float = 1.0

    def __post_init__(self) -> None:
        for name in ("scale", "start", "stop"):
            object.__setattr__(self, name, finite(getattr(self, name), f"cfg: {name}"))
        if not 0 <= self.start < self.stop <= 1:
            got = f"start={_literal(self.start)}, stop={_literal(self.stop)}"
            raise RequestError(f"cfg: 0 <= start < stop <= 1, both fractions of the steps; got {got}")

    def acts(self, steps: int) -> NDArray[np.bool_]:
        """(steps,) on which of the steps it acts."""
        i = np.arange(steps) + 1e-9 * steps  # so that step 3 of 30 is at 0.1
        return (self.start * steps <= i) & (i < self.stop * steps)


@dataclass(frozen=True)
class Guidance:
    """Terms that act together. Several `cfg` may follow one another in time, never overlap."""

    terms: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        spans = sorted((term.start, term.stop) for term in self.terms if isinstance(term, Cfg))
        if any(stop > start for (_, stop), (start, _) in pairwise(spans)):
            raise RequestError(f"two cfg act at the same steps in {self}; keep one, or set start and stop")

    def __add__(self, other: Term | Guidance) -> Guidance:
        return Guidance(self.terms + (other.terms if isinstance(other, Guidance) else (other,)))

    def __str__(self) -> str:
        return " + ".join(map(str, self.terms)) or "none"

    def scales(self, steps: int) -> NDArray[np.float64]:
        """(steps,) the classifier-free scale of each step; 1 where no `cfg` acts."""
        scales = np.ones(steps)
        for term in self.terms:
            if isinstance(term, Cfg):
                scales[term.acts(steps)] = term.scale
        return scales


def finite(value: object, name: str) -> float:
    """A finite float from any real number, or a RequestError that names it; never a negative zero."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        with suppress(OverflowError):
            if math.isfinite(number := float(value)):
                return number + 0.0
    raise RequestError(f"{name} must be a finite number, got {short(value)}")


def short(value: object) -> str:
    """A value as it may stand in a message: one line, at most 60 characters."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print whole numbers of thousands of digits
        return "a very long number"
    return text if len(text) <= 60 else text[:57] + "..."


def _literal(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value).removesuffix(".0") if isinstance(value, float) else repr(value)
