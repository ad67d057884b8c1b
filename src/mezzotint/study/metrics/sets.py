"""Numbers of a set of pictures: how far from a reference, and how far from each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mezzotint.metrics import kid, spread
from mezzotint.picture import Picture
from mezzotint.study.metrics.metric import Context, Metric, Need, Pair, SetResult

Array = NDArray[np.floating]
SIGMA, SCALE = 10.0, 1000.0  # of CMMD, as published


def fid(x: Array, y: Array) -> float:
    """Fréchet distance of features (n, d) and (m, d) (Heusel et al. 2017, 1706.08500), as torchmetrics computes it.

    It is biased: compare only at the same n and m, and with n well above d.
    """
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Given(torch.nn.Identity):
        num_features = x.shape[1]

    distance = FrechetInceptionDistance(feature=Given(), normalize=True)
    for features, real in ((x, False), (y, True)):
        distance.update(torch.from_numpy(features.astype(np.float64)), real=real)
    return float(distance.compute())


def cmmd(x: Array, y: Array, rows: int = 1024) -> float:
    """1000 times the squared MMD of unit CLIP features with the kernel exp(-|x - y|²/(2·10²)), every pair counted.

    Jayasumana et al. 2024, 2401.09603; in float64, as the three means cancel to their fifth digit.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    return SCALE * (_rbf(x, x, rows) + _rbf(y, y, rows) - 2 * _rbf(x, y, rows))


def _rbf(x: Array, y: Array, rows: int) -> float:
    """The mean of the kernel over all pairs, some rows at a time."""
    total = 0.0
    for start in range(0, len(x), rows):
        part = x[start : start + rows]
        squares = (part**2).sum(1)[:, None] + (y**2).sum(1) - 2 * part @ y.T
        total += float(np.exp(-squares / (2 * SIGMA**2)).sum())
    return total / (len(x) * len(y))


def diversity(unit: Array) -> float:
    """The mean of 1 - cosine over all pairs of unit features (n, d); by their sum, so in n steps. nan under two."""
    n = len(unit)
    if n < 2:
        return math.nan
    x = unit.astype(np.float64)
    return float(1 - (np.sum(x.sum(0) ** 2) - np.sum(x**2)) / (n * (n - 1)))


def _against(
    which: Pair, distance: Callable[[Array, Array], float]
) -> Callable[[Sequence[Picture], Context], SetResult]:
    def compute(pictures: Sequence[Picture], context: Context) -> SetResult:
        if len(pictures) < 2:
            return SetResult(math.nan, len(pictures))
        reference = context.reference(which, min(pictures[0].image.size))
        features = context.features(pictures, which)
        value = distance(features, reference.features) if len(reference.features) > 1 else math.nan
        counts = (len(features), len(reference.features))
        return SetResult(value, *counts, reference.resize, context.extractor(which), reference.source)

    return compute


def _diversity(pictures: Sequence[Picture], context: Context) -> SetResult:
    features = context.features(pictures, "judge")
    said = context.resize("judge"), context.extractor("judge")
    return SetResult(diversity(features), len(features), 0, *said)


_JUDGED: frozenset[Need] = frozenset({"judge", "reference"})
SETS = (
    Metric(
        "fid",
        _JUDGED,
        _against("judge", lambda x, y: fid(spread(x), spread(y))),
        "Fréchet distance to the reference, in the judge's features",
        False,
        of_set=True,
        packages=("torchmetrics",),
    ),
    Metric(
        "kid",
        _JUDGED,
        _against("judge", lambda x, y: kid(spread(x), spread(y))),
        "kernel distance to the reference, unbiased, in the judge's features",
        False,
        of_set=True,
    ),
    Metric(
        "cmmd",
        frozenset({"clip", "reference"}),
        _against("clip", cmmd),
        "CLIP maximum mean discrepancy to the reference",
        False,
        of_set=True,
    ),
    Metric(
        "diversity",
        frozenset({"judge"}),
        _diversity,
        "mean of 1 - cosine between pictures, in the judge's features",
        None,
        of_set=True,
    ),
)
