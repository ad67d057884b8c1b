"""What settings that saw different seeds come to, without flattering the best of many.

The best of many means is lucky as well as good, and those that were dropped were unlucky. So settings are taken for draws from
a normal distribution, whose width is estimated (empirical Bayes; Robbins 1956, Efron & Morris 1975): y = seed + setting + noise.
Given all that was seen, what was dropped and why does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mezzotint.stats import DRAWS, bootstrap_means, student

Floats = NDArray[np.float64]
_ROUNDS = 100  # of EM
_FEW = 2.0  # settings' worth of belief that they differ by what few seeds can tell: else the width may come to nothing


class Fit(NamedTuple):
    """Of values (settings, seeds), nan where not seen."""

    means: (
        Floats  # (settings,) each drawn toward all others by what noise there is; nan where nothing was seen
    )
    rest: Floats  # (settings, seeds) without seed and setting
    ratio: float  # variance of the noise to that between settings: the seeds that the others are worth


def fit_model(values: Floats) -> Fit:
    """By EM, from the first guess that half of all is noise."""
    there = np.isfinite(values)
    y, counts = np.where(there, values, 0.0), there.sum(1)
    least = counts[counts > 0].min()
    seeds = np.where(there.any(0), y.sum(0) / np.maximum(1, there.sum(0)), 0.0)
    spread = noise = max(float(np.var(values[there])), 1e-300) / 2
    for _ in range(_ROUNDS):
        ratio = noise / spread
        setting = np.where(there, y - seeds, 0.0).sum(1) / (counts + ratio)
        unsure = noise / (counts + ratio)
        seeds = np.where(there, y - setting[:, None], 0.0).sum(0) / np.maximum(1, there.sum(0))
        rest = np.where(there, y - seeds - setting[:, None], 0.0)
        found = (setting**2 + unsure)[counts > 0]
        spread = max(float(found.sum() + _FEW * noise / least) / (len(found) + _FEW), 1e-12 * noise, 1e-300)
        noise = max(float((rest**2).sum() + (counts * unsure).sum()) / there.sum(), 1e-12 * spread, 1e-300)
    center = float(seeds[there.any(0)].mean())
    return Fit(np.where(counts > 0, center + setting, math.nan), rest, noise / spread)


def shrunk_bootstrap(values: Sequence[Floats], draws: int = DRAWS, seed: int = 0) -> Floats:
    """(draws, settings): what each may be on all seeds, as seeds are drawn anew, the same for all that saw the same."""
    most = max(map(len, values))
    table = np.stack([np.pad(one, (0, most - len(one)), constant_values=math.nan) for one in values])
    fit = fit_model(table)
    out = np.tile(fit.means, (draws, 1))
    for n in sorted({len(one) for one in values}):
        some = [i for i, one in enumerate(values) if len(one) == n]
        block = table[some][:, :n]
        block = np.where(np.isfinite(block), fit.rest[some][:, :n], 0.0)
        out[:, some] += math.sqrt(n / (n + fit.ratio)) * _around(block, draws, seed + n)
    return out


def _around(block: Floats, draws: int, seed: int) -> Floats:
    """(draws, settings) how far means of (settings, seeds) are from theirs; wider, as percentiles of few are too narrow.

    Hesterberg 2015 (1411.5279), section 3.3.
    """
    n = block.shape[1]
    wider = math.sqrt(n / (n - 1)) * student(0.025, n - 1) / student(0.025, 10_000) if n > 1 else 1.0
    return np.asarray(wider * (bootstrap_means(block, draws, seed) - block.mean(1)))
