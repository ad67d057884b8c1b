"""DPM-Solver++, second order, multistep, without and with noise."""

from __future__ import annotations

import numpy as np

from mezzotint.samplers.table import Levels, Table, basis, table
from mezzotint.schedule import Floats


def dpmpp_2m(levels: Levels) -> Table:
    """DPM-Solver++(2M), algorithm 2 of Lu et al. 2022 (2211.01095)."""
    x, old, x0, _ = basis(2)
    h, ratio = step_of_lambda(levels)
    D = x0 + ratio / 2 * (x0 - old)
    x = levels.sigma_next / levels.sigma * x - levels.alpha_next * np.expm1(-h) * D
    return table(len(levels), x, x0)


def dpmpp_2m_sde(levels: Levels) -> Table:
    """SDE-DPM-Solver++(2M), Lu et al. 2022 (2211.01095), section 5: the same with noise."""
    x, old, x0, _ = basis(2)
    h, ratio = step_of_lambda(levels)
    D = x0 + ratio / 2 * (x0 - old)
    x = levels.sigma_next / levels.sigma * np.exp(-h) * x - levels.alpha_next * np.expm1(-2 * h) * D
    return table(len(levels), x, x0, noise_std=levels.sigma_next * np.sqrt(-np.expm1(-2 * h)))


def step_of_lambda(levels: Levels) -> tuple[Floats, Floats]:
    """(N, 1) each: the step h in lambda, and h/h_before; 0 where the order is 1, to and from the ends."""
    before, here, after = levels.lam
    h = after - here
    with np.errstate(invalid="ignore"):
        return h, np.where(np.isinf(h), 0, h / (here - before))
