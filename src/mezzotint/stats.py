"""What numbers of pictures say: intervals, the best setting and how sure it is, paired tests, the frontier.

Settings are compared on the same seeds, so the seed is the unit that is drawn: prompts are chosen, noises are random.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
DRAWS, SIGNS = 4000, 20_000
COVERAGE = {4: 0.88, 6: 0.93, 8: 0.94, 16: 0.95, 32: 0.95}
"""By n, how often the interval of 95 % holds the mean of a normal distribution; of an exponential one 0.82 to 0.93."""
EXACT = 14  # pairs at most whose 2**n signs are all tried


class Estimate(NamedTuple):
    """A mean of n values and its interval; nan where n is too small to have one."""

    mean: float
    low: float
    high: float
    n: int


class Best(NamedTuple):
    """The best setting, and of all the share of bootstrap draws in which each is."""

    name: Hashable
    mean: float
    shares: dict[Hashable, float]


class Comparison(NamedTuple):
    """A setting against another on the same seeds; `holm` is p corrected for all that were compared with it."""

    name: Hashable
    base: Hashable
    difference: Estimate
    p: float
    holm: float


@dataclass(frozen=True, eq=False)
class Paired:
    """One metric of several settings on the same seeds: values (settings, seeds)."""

    names: tuple[Hashable, ...]
    seeds: tuple[int, ...]
    values: Floats

    @classmethod
    def of(cls, rows: Iterable[Any], axis: str, metric: str) -> Self:
        """From a table's rows: the mean over all other axes of each (value of the axis, seed).

        A seed counts where every cell of the table has its finite value, so that all settings saw the same.
        """
        found: dict[int, dict[tuple[Hashable, Hashable], float]] = defaultdict(dict)
        for row in rows:
            if axis not in row.cell or metric not in row.metrics:
                continue
            rest = tuple((key, str(value)) for key, value in sorted(row.cell.items()) if key != axis)
            found[row.seed][row.cell[axis], rest] = float(row.metrics[metric])
        cells = dict.fromkeys(cell for values in found.values() for cell in values)
        measured = [c for c in cells if any(math.isfinite(v.get(c, math.nan)) for v in found.values())]
        names = tuple(dict.fromkeys(name for name, _ in measured))
        seeds = tuple(
            seed for seed, v in found.items() if all(math.isfinite(v.get(c, math.nan)) for c in measured)
        )
        means = [
            [float(np.mean([found[seed][c] for c in measured if c[0] == name])) for seed in seeds]
            for name in names
        ]
        return cls(names, seeds, np.array(means, np.float64).reshape(len(names), len(seeds)))

    def estimates(self, seed: int = 0) -> dict[Hashable, Estimate]:
        """The mean and interval of each setting."""
        return {name: interval(row, seed=seed) for name, row in zip(self.names, self.values, strict=True)}


def interval(values: ArrayLike, level: float = 0.95, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """The mean and its bootstrap interval: percentiles, widened for small n (Hesterberg 2015, 1411.5279, section 3.3).

    Values that are nan are left out; under two values there is no interval. With few values it still promises too much:
    `COVERAGE`. (A studentized bootstrap holds 95 % of those, and 33 to 48 % of 0/1 verdicts, so it is not used.)
    """
    x = np.asarray(values, np.float64).ravel()
    x = x[np.isfinite(x)]
    n = len(x)
    if n < 2:
        return Estimate(float(x.mean()) if n else math.nan, math.nan, math.nan, n)
    low, high = np.percentile(
        bootstrap_means(x[None], draws, seed)[:, 0], [tail(n, level), 100 - tail(n, level)]
    )
    return Estimate(float(x.mean()), float(low), float(high), n)


def tail(n: int, level: float = 0.95) -> float:
    """Percent of the bootstrap draws of n values below an interval: plain percentiles are too narrow by two factors."""
    z = math.sqrt(n / (n - 1)) * student((1 - level) / 2, n - 1)
    return 50 * math.erfc(-z / math.sqrt(2))


POWER = 0.84  # standard normal deviation of 80 %


def seeds_to_tell(found: Estimate, bound: float) -> float:
    """How many values in all an interval needs to lie on one side of `bound`, in 80 % of cases; infinite for none.

    From the measured mean and spread, as if they were the true ones: n = ((z + POWER) * s / |mean - bound|)^2, z = 1.96
    (Cohen 1988). nan under two values.
    """
    if found.n < 2:
        return math.nan
    half = (found.high - found.low) / 2
    spread = half * math.sqrt(found.n) / -student(0.025, found.n - 1)
    distance = abs(found.mean - bound)
    if distance <= 1e-9 * max(spread, abs(bound)):
        return math.inf
    return math.ceil(((1.96 + POWER) * spread / distance) ** 2)


def wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    p, scale = hits / count, 1 + z * z / count
    center, half = p + z * z / (2 * count), z * np.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return float((center - half) / scale), float((center + half) / scale)


def bootstrap_means(values: Floats, draws: int = DRAWS, seed: int = 0) -> Floats:
    """(draws, settings) means of (settings, seeds) over seeds drawn with replacement, the same for all settings."""
    n = values.shape[1]
    rng = np.random.default_rng((seed, 0xB007))
    weights = rng.multinomial(n, np.full(n, 1 / n), draws)
    return np.asarray(weights @ values.T / n)


@lru_cache(maxsize=256)
def student(tail: float, freedom: int) -> float:
    """The point below which a `tail` of Student's t lies.

    With x = sqrt(freedom)*tan(a), its density in a is proportional to cos(a)**(freedom-1).
    """
    angles = np.linspace(-np.pi / 2, np.pi / 2, 200_001)
    below = np.cumsum(np.cos(angles) ** (freedom - 1))
    return math.sqrt(freedom) * math.tan(float(np.interp(tail, below / below[-1], angles)))


def best(paired: Paired, higher: bool = True, draws: int = DRAWS, seed: int = 0) -> Best:
    """The setting of the best mean; draws that end in a tie are shared."""
    if not paired.values.size:
        raise ValueError("no seed has a value of every setting; nothing can be best")
    sign = 1.0 if higher else -1.0
    means = sign * paired.values.mean(1)
    drawn = sign * bootstrap_means(paired.values, draws, seed)
    first = np.isclose(drawn, drawn.max(1, keepdims=True), rtol=1e-12, atol=1e-15)
    shares = (first / first.sum(1, keepdims=True)).mean(0)
    place = int(means.argmax())
    return Best(
        paired.names[place],
        float(sign * means[place]),
        dict(zip(paired.names, shares.tolist(), strict=True)),
    )


def smallest_p(pairs: int, draws: int = SIGNS) -> float:
    """The smallest p that `sign_flip` can give for so many pairs."""
    return 2.0 ** (1 - pairs) if pairs <= EXACT else 1 / (draws + 1)


def sign_flip(differences: ArrayLike, draws: int = SIGNS, seed: int = 0) -> float:
    """The two-sided p that paired differences are symmetric about 0: how often random signs reach as large a mean.

    All signs are tried for up to 14 pairs; of more, so many draws, to which the observed one is added.
    """
    d = np.asarray(differences, np.float64).ravel()
    n = len(d)
    if n < 1:
        return math.nan
    if n <= EXACT:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        drawn = np.random.default_rng((seed, 0x516)).integers(0, 2, (draws, n), dtype=np.int8)
        signs = np.concatenate([np.ones((1, n)), 1.0 - 2.0 * drawn])
    reached = np.abs(signs @ d)
    return float(np.mean(reached >= abs(d.sum()) * (1 - 1e-12)))


def holm(p: Sequence[float]) -> list[float]:
    """p corrected for their number, stepping down (Holm 1979): the chance of any false alarm is bounded by the level."""
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    out = np.empty(len(values))
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in out]


def compare(paired: Paired, base: Hashable, seed: int = 0) -> list[Comparison]:
    """Every other setting against `base`. KeyError where there is no such setting."""
    if base not in paired.names:
        raise KeyError(base)
    at = paired.names.index(base)
    others = [i for i in range(len(paired.names)) if i != at]
    differences = [paired.values[i] - paired.values[at] for i in others]
    ps = [sign_flip(d, seed=seed) for d in differences]
    return [
        Comparison(paired.names[i], base, interval(d, seed=seed), p, corrected)
        for i, d, p, corrected in zip(others, differences, ps, holm(ps), strict=True)
    ]


def frontier(points: ArrayLike, higher: Sequence[bool]) -> NDArray[np.bool_]:
    """(n,) which of the points (n, m) no other beats: as good in everything and better in something (Pareto).

    `higher`: for each of the m, whether more is better. A point with nan is never on it.
    """
    x = np.asarray(points, np.float64) * np.where(np.asarray(higher, bool), 1.0, -1.0)
    known = np.asarray(np.isfinite(x).all(axis=1))
    x = np.where(known[:, None], x, -np.inf)
    as_good = (x[:, None] >= x[None]).all(2)
    better = (x[:, None] > x[None]).any(2)
    return np.asarray(known & ~(as_good & better).any(0))


def frontier_shares(
    by_metric: Mapping[str, Paired], higher: Sequence[bool], draws: int = 1000, seed: int = 0
) -> dict[Hashable, float]:
    """The share of bootstrap draws in which each setting is on the frontier; every metric on the same seeds."""
    every = list(by_metric.values())
    if len({(one.names, one.seeds) for one in every}) != 1:
        raise ValueError("the metrics of a frontier need the same settings and seeds")
    drawn = np.stack([bootstrap_means(one.values, draws, seed) for one in every], 2)
    share = np.mean([frontier(points, higher) for points in drawn], 0)
    return dict(zip(every[0].names, np.asarray(share).tolist(), strict=True))
