"""Linear multistep (Adams-Bashforth on an uneven grid), where x = x0 + sigma*d."""

from __future__ import annotations

import numpy as np

from mezzotint.samplers.table import Levels, Table, basis, table
from mezzotint.schedule import Floats

ORDER = 4
GAUSS = (0.5 - 12**-0.5, 0.5 + 12**-0.5)  # the mean at these two points of [0, 1] integrates a cubic exactly
FAR = 1e30  # a sigma so far away that a slope there counts for nothing


def lms(levels: Levels, earlier: Floats) -> Table:
    """LMS of k-diffusion (Katherine Crowson): the integral of the polynomial through the last four slopes d.

    A run that begins in the middle starts again at order 1. `earlier`, the sigmas of the steps it skipped,
    brings back a slip of diffusers: it takes the order from the absolute step and leaves out missing slopes.
    """
    x, d1, d2, d3, x0, _ = basis(4)
    d = (x - x0) / levels.sigma
    w, w1, w2, w3 = weights(np.append(earlier, levels.sigma), levels.sigma_next)
    return table(len(levels), x + w * d + w1 * d1 + w2 * d2 + w3 * d3, d, d1, d2)


def weights(sigma: Floats, sigma_next: Floats) -> Floats:
    """(4, N, 1): the weights of the slopes here and at the three sigmas before, in N steps to `sigma_next`.

    `sigma` ends with the N sigmas here and starts with those before them, if any; the first has order 1.
    """
    n = len(sigma_next)
    node = [np.append(np.full(k, k * FAR), sigma)[len(sigma) - n : len(sigma), None] for k in range(ORDER)]
    start, dt = node[0], sigma_next - node[0]
    return np.stack([sum(dt / 2 * _lagrange(start + u * dt, node, j) for u in GAUSS) for j in range(ORDER)])


def _lagrange(sigma: Floats, node: list[Floats], j: int) -> Floats:
    """The polynomial that is 1 at node j and 0 at the others."""
    factors = [(sigma - node[k]) / (node[j] - node[k]) for k in range(ORDER) if k != j]
    return factors[0] * factors[1] * factors[2]
