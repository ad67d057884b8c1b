"""Euler and Heun, where x = x0 + sigma*d: ve coordinates, and flow models in their own."""

from __future__ import annotations

import numpy as np

from mezzotint.samplers.table import Levels, UpdateTable, basis, rows, table


def euler(levels: Levels) -> UpdateTable:
    """Karras et al. 2022 (2206.00364), algorithm 1 uncorrected: a step along d = (x - x0)/sigma."""
    x, x0, _ = basis(1)
    d = (x - x0) / levels.sigma
    return table(len(levels), x + d * (levels.sigma_next - levels.sigma))


def heun(levels: Levels) -> UpdateTable:
    """Karras et al. 2022 (2206.00364), algorithm 1: the mean of the slopes at both ends; Euler at the end."""
    n = len(levels)
    x, half, x0, _ = basis(2)
    dt = levels.sigma_next - levels.sigma
    d = (x - x0) / levels.sigma
    update = np.empty((2 * n - 1, 2, 4))
    update[0::2] = rows(n, x + dt * d, x + dt / 2 * d)
    d = (x - x0) / levels.sigma_next[:-1]
    update[1::2] = rows(n - 1, half + dt[:-1] / 2 * d, half)
    call = np.arange(2 * n - 1)
    return UpdateTable(update, np.zeros(2 * n - 1), level=(call + 1) // 2, step=call // 2)
