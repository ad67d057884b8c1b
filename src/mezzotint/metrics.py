"""How far pictures lie apart: the peak signal to noise of two, and the kernel inception distance of two sets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def psnr(x: NDArray[Any], y: NDArray[Any], peak: float = 255) -> float:
    """Peak signal to noise of two pictures of one shape, dB; infinite where they are equal. `peak`: the range of values."""
    error = float(np.square(x.astype(np.float64) - y).mean())
    return float(10 * np.log10(peak**2 / error)) if error else float("inf")


def kid(x: NDArray[np.floating], y: NDArray[np.floating]) -> float:
    """Kernel inception distance (Bińkowski et al. 2018, 1801.01401) between features (n, d) and (m, d).

    The unbiased estimate of squared MMD (eq. 4): about 0 where the sets are alike.
    It may come out below zero. ValueError where a set has fewer than two rows.
    """
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise ValueError("a distance needs two pictures on either side")
    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2 * xy.mean())


def kernel(x: NDArray[np.floating], y: NDArray[np.floating]) -> Floats:
    """(x·y / d + 1)³, (n, m), in float64: the mean over 1,000 pictures has to see the fourth digit."""
    return np.asarray((x.astype(np.float64) @ y.astype(np.float64).T / x.shape[1] + 1) ** 3)


def spread(unit: NDArray[np.floating]) -> Floats:
    """Unit vectors (n, d) scaled to a root mean square of 1 a feature, as the kernel expects; x·y/d is then their cosine."""
    return np.asarray(unit * unit.shape[1] ** 0.5, np.float64)
