"""DPM-Solver++, second order, multistep, without and with noise."""

from __future__ import annotations

import numpy as np

from mezzotint.samplers.table import Levels, UpdateTable, basis, table
from mezzotint.schedule import Floats


def dpmpp_2m(levels: Levels, euler_last: bool = False) -> UpdateTable:
    """DPM-Solver++(2M), algorithm 2 of Lu et al. 2022 (2211.01095)."""
    x, old, x0, _ = basis(2)
    h, ratio = step_of_lambda(levels, euler_last)
    D = x0 + ratio / 2 * (x0 - old)
    x = levels.sigma_next / levels.sigma * x - levels.alpha_next * np.expm1(-h) * D
    return table(len(levels), x, x0)


def dpmpp_2m_sde(levels: Levels, euler_last: bool = False) -> UpdateTable:
    """SDE-DPM-Solver++(2M), Lu et al. 2022 (2211.01095), section 5: the same with noise."""
    x, old, x0, _ = basis(2)
    h, ratio = step_of_lambda(levels, euler_last)
    D = x0 + ratio / 2 * (x0 - old)
    x = levels.sigma_next / levels.sigma * np.exp(-h) * x - levels.alpha_next * np.expm1(-2 * h) * D
    return table(len(levels), x, x0, noise_std=levels.sigma_next * np.sqrt(-np.expm1(-2 * h)))


def step_of_lambda(levels: Levels, euler_last: bool = False) -> tuple[Floats, Floats]:
    """(N, 1) each: the step h in lambda, and h/h_before; 0 where the order is 1, to and from the ends.

    `euler_last`: the last step has order 1 also where it ends in noise.
    """
    before, here, after = levels.lam
    h = after - here
    with np.errstate(invalid="ignore"):
        ratio = np.where(np.isinf(h), 0, h / (here - before))
    if euler_last:
        ratio[-1] = 0
    return h, ratio
