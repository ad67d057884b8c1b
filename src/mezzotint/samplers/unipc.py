"""UniPC: the predictor of DPM-Solver++(2M), and a corrector that needs no further call."""

from __future__ import annotations

import numpy as np

from mezzotint.samplers.dpmpp import step_of_lambda
from mezzotint.samplers.table import Levels, UpdateTable, basis, table
from mezzotint.schedule import Floats


def unipc(levels: Levels, euler_last: bool = False) -> UpdateTable:
    """UniPC-2 with B(h) = e^h - 1, Zhao et al. 2023 (2302.04867), algorithms 5 and 6.

    When x0 is known at a level, the step that led there is taken again with it; the next starts from there.
    """
    x, last, m0, m1, x0, _ = basis(4)
    B, rho0, rho1 = _corrector(levels)
    D = m0 + rho0 * (m1 - m0) + rho1 * (x0 - m0)
    corrected = levels.sigma / levels.sigma_prev * last - levels.alpha * B * D
    corrected[0] = x
    h, ratio = step_of_lambda(levels, euler_last)
    D = x0 + ratio / 2 * (x0 - m0)
    x = levels.sigma_next / levels.sigma * corrected - levels.alpha_next * np.expm1(-h) * D
    return table(len(levels), x, corrected, x0, m0)


def _corrector(levels: Levels) -> tuple[Floats, Floats, Floats]:
    """(N, 1) each: B(h) of the step that led here, the weights of the older and of the new change of x0."""
    before, here, _ = levels.lam
    with np.errstate(invalid="ignore", divide="ignore"):  # of use in the rows of second order only
        h = here - before
        r = np.concatenate([np.zeros((1, 1)), -h[:-1]]) / h  # where m1 lies, in steps; -inf: nowhere
        B = np.expm1(-h)
        b1 = (B / -h - 1) / B
        b2 = ((B / -h - 1) / -h - 1 / 2) * 2 / B
        rho0 = (b1 - b2) / (1 - r)
        older = rho0 / r
    second = np.arange(len(h))[:, None] > 1
    return B, np.where(second, older, 0), np.where(second, b1 - rho0, 1 / 2)
