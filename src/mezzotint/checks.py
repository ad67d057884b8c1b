"""Values as they come from outside: numbers checked, and any value as it may stand in a message."""

from __future__ import annotations

import json
import math
import numbers
from contextlib import suppress

from mezzotint.errors import RequestError


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
