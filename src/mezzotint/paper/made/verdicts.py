"""Verdicts of sections that measure for themselves: an interval against a bound, or a number against the published one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from mezzotint.stats import interval
from mezzotint.study.finding import Finding, Source, seeds_needed, verdict_of_mean


def above(
    claim: str, values: ArrayLike, bound: float, what: str, of: str = "seeds", source: Source = "ours"
) -> Finding:
    """That the mean lies above the bound. `what`: of what, `of`: n of these."""
    return _judge(claim, values, bound, f"{what}: {{}}; bound: above {bound:g}", of, 1, source)


def below(
    claim: str, values: ArrayLike, bound: float, what: str, of: str = "seeds", source: Source = "ours"
) -> Finding:
    """That the mean lies below the bound."""
    return _judge(claim, values, bound, f"{what}: {{}}; bound: below {bound:g}", of, -1, source)


def equal(
    claim: str,
    found: Sequence[float],
    published: Sequence[float],
    places: int,
    what: str = "",
    source: Source = "ours",
) -> Finding:
    """That numbers without chance are the published ones, to so many decimal places."""
    same = np.array_equal(np.round(found, places), np.round(published, places))
    ours, theirs = (", ".join(f"{value:.{places}f}" for value in values) for values in (found, published))
    evidence = f"{what + ': ' if what else ''}{ours}; published {theirs}"
    return Finding(claim, "confirmed" if same else "refuted", evidence, source)


def estimate(values: ArrayLike, of: str = "seeds") -> str:
    """The mean, its interval and n, in words."""
    found = interval(values)
    return f"{found.mean:.3g}, 95 % interval {found.low:.3g} to {found.high:.3g}, {found.n} {of}"


def short(values: ArrayLike) -> str:
    """The mean and its interval, for a table."""
    found = interval(values)
    return f"{found.mean:.3g} ({found.low:.3g} to {found.high:.3g})"


def _judge(
    claim: str, values: ArrayLike, bound: float, said: str, of: str, sign: int, source: Source
) -> Finding:
    found = interval(values)
    decided = verdict_of_mean(found, bound, sign)
    doubt = f"; {seeds_needed(found, [bound], of)}" if decided == "undecided" else ""
    return Finding(claim, decided, f"{said.format(estimate(values, of))}{doubt}", source)
