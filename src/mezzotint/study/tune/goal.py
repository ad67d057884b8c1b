"""What is wanted: more or less of a metric, within bounds on others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ConfigError
from mezzotint.study.metrics import Metric, get_metrics

Floats = NDArray[np.float64]
_BOUND = re.compile(r"\s*([\w.-]+?)\s*(<=|>=)\s*(\S+)\s*", re.ASCII)


@dataclass(frozen=True)
class Bound:
    """A metric whose mean must not pass a limit."""

    metric: str
    most: bool  # at most; else at least
    limit: float

    def __str__(self) -> str:
        return f"{self.metric} {'<=' if self.most else '>='} {self.limit:g}"

    def excess(self, means: Floats | float) -> Floats:
        """How far beyond the limit; 0 and less is within."""
        return (1.0 if self.most else -1.0) * (np.asarray(means, np.float64) - self.limit)


@dataclass(frozen=True)
class Goal:
    """The metric, whether more of it is better, and the bounds."""

    metric: str
    higher: bool
    bounds: tuple[Bound, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """All that are measured."""
        return tuple(dict.fromkeys((self.metric, *(bound.metric for bound in self.bounds))))

    def __str__(self) -> str:
        kept = f" with {' and '.join(map(str, self.bounds))}" if self.bounds else ""
        return f"{'most' if self.higher else 'least'} {self.metric}{kept}"


def parse_goal(metric: str, higher: bool | None = None, keep: Sequence[str] = ()) -> Goal:
    """From what was asked. ConfigError for metrics that are unknown, of sets, or have no direction where none is given."""
    bounds = tuple(map(_parse_bound, keep))
    known = {one.name: _single(one) for one in get_metrics([metric, *(bound.metric for bound in bounds)])}
    higher = known[metric].higher if higher is None else higher
    if higher is None:
        raise ConfigError(
            f"neither more nor less of {metric} is better by itself; say --maximize or --minimize"
        )
    return Goal(metric, higher, bounds)


def _single(metric: Metric) -> Metric:
    if metric.of_set:
        raise ConfigError(
            f"{metric.name} is a number of a set, and settings are compared seed by seed; take a metric of pictures"
        )
    return metric


def _parse_bound(text: str) -> Bound:
    found = _BOUND.fullmatch(text)
    try:
        if found and np.isfinite(limit := float(found[3])):
            return Bound(found[1], found[2] == "<=", limit)
    except ValueError:
        pass
    raise ConfigError(f"--keep {text[:60]!r}: write METRIC<=NUMBER or METRIC>=NUMBER")
