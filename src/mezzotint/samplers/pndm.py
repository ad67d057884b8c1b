"""Pseudo linear multistep: PNDM as Stable Diffusion ships it, without its Runge-Kutta start."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mezzotint.samplers.table import Levels, UpdateTable, basis, rows
from mezzotint.schedule import Floats

Slope = Literal["eps", "v", "flow"]
ADAMS = np.array([[24, 0, 0, 0], [36, -12, 0, 0], [46, -32, 10, 0], [55, -59, 37, -9]])[:, :, None] / 24


def pndm(levels: Levels, slope: Slope = "eps", late: int = 0) -> UpdateTable:
    """PLMS, Liu et al. 2022 (2202.09778), equations 9 and 12; the first step is taken twice, as Heun would.

    `slope` is what is extrapolated: eps; in flow models d, where x = x0 + sigma*d; or v, a slip of diffusers
    under v-prediction that costs the method its second order. Where the run starts from noise alone, eps there
    says nothing of x0, so the second call leaves the first step as it is.

    `late` above 0 is a slip of diffusers' image-to-image, which skips so many calls and not steps. Skipping one, the
    first step is taken back to where it began; skipping more, `levels` begin one step earlier, and a step is left out.
    """
    level = _call_levels(len(levels), late)
    call = np.arange(len(level))
    x, e1, e2, e3, x0, _ = basis(4)
    e = _slope(slope, x, x0, levels.alpha, levels.sigma)[level]
    w, w1, w2, w3 = ADAMS[np.clip(call - 1, 0, 3)].swapaxes(0, 1)
    mean = w * e + w1 * e1 + w2 * e2 + w3 * e3
    keep, move = _transfer(slope, levels.alpha, levels.sigma, levels.alpha_next, levels.sigma_next)
    update = rows(len(call), keep[level] * x + move[level] * mean, e, e1, e2)
    update[0, 2] = anchor = x  # the first call leaves x in the third slot, the second starts from it again
    if len(call) > 1:
        at = level[1]
        start, end = (levels.alpha_prev[at], levels.sigma_prev[at]), (levels.alpha[at], levels.sigma[at])
        keep, move = _transfer(slope, *start, *end)
        update[1] = np.stack([keep * e2 + move * (e[1] + e1) / 2, e1, 0 * anchor, 0 * anchor])
    if slope == "eps" and levels.alpha[0, 0] == 0:
        update[0, 0] = levels.alpha_next[0] * x0 + levels.sigma_next[0] * e[0]
        update[1:2, 0] = x
    return UpdateTable(update, np.zeros(len(call)), level, step=np.maximum(call - 1, 0))


def _call_levels(n: int, late: int) -> NDArray[np.intp]:
    """The level of each call."""
    if late > 1:
        return np.arange(n)
    call = np.arange(n + 1 if n > 1 or late else 1)
    return np.maximum(call - 1, 0) if late else np.where(call > 0, np.maximum(call - 1, 1), 0)


def _slope(slope: Slope, x: Floats, x0: Floats, alpha: Floats, sigma: Floats) -> Floats:
    if slope == "v":
        return (alpha * x - x0) / sigma
    return (x - (x0 if slope == "flow" else alpha * x0)) / sigma


def _transfer(
    slope: Slope, alpha: Floats, sigma: Floats, alpha1: Floats, sigma1: Floats
) -> tuple[Floats, Floats]:
    """x' = keep*x + move*e: equation 9, which is the step of DDIM."""
    if slope == "flow":
        return np.ones_like(sigma), sigma1 - sigma
    if slope == "v":
        return alpha1 * alpha + sigma1 * sigma, sigma1 * alpha - alpha1 * sigma
    keep = alpha1 / np.where(alpha == 0, 2.0**-12, alpha)
    return keep, sigma1 - sigma * keep
