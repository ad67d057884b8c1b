"""The terms of guidance. A term is data: a frozen dataclass that writes itself as a short expression."""

from __future__ import annotations

import json
import math
import numbers
from contextlib import suppress
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import RequestError

if TYPE_CHECKING:
    from mezzotint.guidance.guidance import Guidance


class Term:
    """What every term has: `a + b`, and `str(term)`, the expression that `parse` reads back."""

    def __add__(self, other: Term | Guidance) -> Guidance:
        from mezzotint.guidance.guidance import Guidance  # which is made of terms

        return Guidance((self,)) + other

    def acts(self, steps: int) -> NDArray[np.bool_]:
        """(steps,) on which of the steps it acts."""
        return acting(self.start, self.stop, steps)  # type: ignore[attr-defined]  # every term has both

    def __str__(self) -> str:
        words = []
        for field in sorted(fields(self), key=lambda f: bool(f.kw_only)):  # type: ignore[arg-type]  # every term is a dataclass
            value = getattr(self, field.name)
            if field.default is MISSING:
                words.append(literal(value))
            elif value != field.default:
                words.append(f"{field.name}={literal(value)}")
        return f"{type(self).__name__.lower()}({', '.join(words)})"


def span(term: Term, name: str) -> None:
    """Check and normalize the start and stop of a term."""
    start, stop = (finite(getattr(term, key), f"{name}: {key}") for key in ("start", "stop"))
    if not 0 <= start < stop <= 1:
        got = f"start={literal(start)}, stop={literal(stop)}"
        raise RequestError(f"{name}: 0 <= start < stop <= 1, both fractions of the steps; got {got}")
    object.__setattr__(term, "start", start)
    object.__setattr__(term, "stop", stop)


def acting(start: float, stop: float, steps: int) -> NDArray[np.bool_]:
    """(steps,) whether start <= i/steps < stop."""
    i = np.arange(steps) + 1e-9 * steps  # so that step 3 of 30 is at 0.1
    return np.asarray((start * steps <= i) & (i < stop * steps))


def finite(value: object, name: str) -> float:
    """A finite float from any real number, or a RequestError that names it; never a negative zero."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        with suppress(OverflowError):
            if math.isfinite(number := float(value)):
                return number + 0.0
    raise RequestError(f"{name} must be a finite number, got {short(value)}")


def whole(value: object, name: str, low: int, high: int, divisor: int = 1) -> int:
    """A whole number within bounds, or a RequestError that names it."""
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        number = int(value)
        if low <= number <= high and number % divisor == 0:
            return number
    fits = f" divisible by {divisor}" if divisor > 1 else ""
    raise RequestError(f"{name} must be a whole number{fits} from {low} to {high}, got {short(value)}")


def short(value: object) -> str:
    """A value as it may stand in a message: one line, at most 60 characters."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print whole numbers of thousands of digits
        return "a very long number"
    return text if len(text) <= 60 else text[:57] + "..."


def literal(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value).removesuffix(".0") if isinstance(value, float) else repr(value)
