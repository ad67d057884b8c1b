"""Linear multistep (Adams-Bashforth on an uneven grid), where x = x0 + sigma*d."""

from __future__ import annotations

import numpy as np

from mezzotint.samplers.table import Levels, UpdateTable, basis, table
from mezzotint.schedule import Floats

ORDER = 4
GAUSS = (0.5 - 12**-0.5, 0.5 + 12**-0.5)  # the mean at these two points of [0, 1] integrates a cubic exactly
FAR = 1e30  # a sigma so far away that a slope there counts for nothing
LEAP = 3  # a step so many times longer than the one before it has order 1


def lms(levels: Levels, earlier: Floats, leaps: bool = True) -> UpdateTable:
    """LMS of k-diffusion (Katherine Crowson): the integral of the polynomial through the last four slopes d.

    A run that begins in the middle starts again at order 1. `earlier`, the sigmas of the steps it skipped,
    brings back a slip of diffusers: it takes the order from the absolute step and leaves out missing slopes.
    `leaps` False brings back another: in long runs with Karras sigmas the last step is hundreds of times
    longer than those before it, and it extrapolates their cubic there, with weights up to a million.
    """
    x, d1, d2, d3, x0, _ = basis(4)
    d = (x - x0) / levels.sigma
    w, w1, w2, w3 = weights(np.append(earlier, levels.sigma), levels.sigma_next, leaps)
    return table(len(levels), x + w * d + w1 * d1 + w2 * d2 + w3 * d3, d, d1, d2)


def weights(sigma: Floats, sigma_next: Floats, leaps: bool = True) -> Floats:
    """(4, N, 1): the weights of the slopes here and at the three sigmas before, in N steps to `sigma_next`.

    `sigma` ends with the N sigmas here and starts with those before them, if any; the first has order 1
    and, with `leaps`, so has a step over thrice as long as the one before it.
    """
    n = len(sigma_next)
    node = [np.append(np.full(k, k * FAR), sigma)[len(sigma) - n : len(sigma), None] for k in range(ORDER)]
    start, dt = node[0], sigma_next - node[0]
    if leaps:
        leap = -dt > LEAP * (node[1] - start)
        node[1:] = [np.where(leap, k * FAR, node[k]) for k in range(1, ORDER)]
    return np.stack([sum(dt / 2 * _lagrange(start + u * dt, node, j) for u in GAUSS) for j in range(ORDER)])


def _lagrange(sigma: Floats, node: list[Floats], j: int) -> Floats:
    """The polynomial that is 1 at node j and 0 at the others."""
    factors = [(sigma - node[k]) / (node[j] - node[k]) for k in range(ORDER) if k != j]
    return factors[0] * factors[1] * factors[2]
