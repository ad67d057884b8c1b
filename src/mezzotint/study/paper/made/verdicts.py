"""Verdicts from numbers: an interval against a bound, or a number against the published one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from mezzotint.evaluation.statistics import COVERAGE, interval
from mezzotint.study.paper.section import Finding

LEAST = min(COVERAGE)  # values under which nobody has measured how often an interval holds the truth


def above(claim: str, values: ArrayLike, bound: float, what: str, of: str = "seeds") -> Finding:
    """Confirmed where the 95 % interval of the mean lies above the bound. `what`: of what, `of`: n of these."""
    return _compared(claim, values, bound, f"{what}: {{}}; bound: above {bound:g}", of, 1)


def below(claim: str, values: ArrayLike, bound: float, what: str, of: str = "seeds") -> Finding:
    """Confirmed where the 95 % interval of the mean lies below the bound."""
    return _compared(claim, values, bound, f"{what}: {{}}; bound: below {bound:g}", of, -1)


def equal(
    claim: str, found: Sequence[float], published: Sequence[float], places: int, what: str = ""
) -> Finding:
    """Confirmed where numbers that no chance is in are the published ones, to so many decimal places."""
    same = np.array_equal(np.round(found, places), np.round(published, places))
    ours, theirs = (", ".join(f"{value:.{places}f}" for value in values) for values in (found, published))
    evidence = f"{what + ': ' if what else ''}{ours}; published {theirs}"
    return Finding(claim, "confirmed" if same else "not confirmed", evidence)


def estimate(values: ArrayLike, of: str = "seeds") -> str:
    """The mean, its interval and n, in words."""
    found = interval(values)
    return f"{found.mean:.3g}, 95 % interval {found.low:.3g} to {found.high:.3g}, {found.n} {of}"


def short(values: ArrayLike) -> str:
    """The mean and its interval, for a table."""
    found = interval(values)
    return f"{found.mean:.3g} ({found.low:.3g} to {found.high:.3g})"


def _compared(claim: str, values: ArrayLike, bound: float, told: str, of: str, sign: int) -> Finding:
    found = interval(values)
    evidence = told.format(estimate(values, of))
    if found.n < LEAST:
        return Finding(claim, "not testable here", f"{evidence}; at least {LEAST} are needed")
    near = found.low if sign > 0 else found.high
    return Finding(claim, "confirmed" if sign * (near - bound) > 0 else "not confirmed", evidence)
