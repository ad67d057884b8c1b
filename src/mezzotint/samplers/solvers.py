"""The formulas of the samplers: DDIM, DDPM, Euler, Heun, DPM-Solver++, UniPC, LMS and PNDM, each with its paper.

Each fills a table with basis vectors (see `levels`). Euler, Heun and LMS have x = x0 + sigma*d.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mezzotint.samplers.levels import Levels, UpdateTable, basis, rows, table
from mezzotint.schedule import Floats


def ddim(levels: Levels, eta: float = 0.0) -> UpdateTable:
    """DDIM, Song et al. 2020 (2010.02502), equations 12 and 16. Guidance moves x0, not the direction eps."""
    x, x0, raw = basis(1)
    eps = (x - levels.alpha * raw) / levels.sigma
    std = eta * _posterior_std(levels)
    direction = np.sqrt(np.maximum(levels.sigma_next**2 - std**2, 0)) * eps
    return table(len(levels), levels.alpha_next * x0 + direction, noise_std=std)


def ancestral(levels: Levels, large: bool = False) -> UpdateTable:
    """DDPM, Ho et al. 2020 (2006.11239), equations 6 and 7, for any alpha, sigma (2107.00630, appendix A).

    In ve coordinates the same lines are k-diffusion's Euler ancestral. `large`: DDPM's upper variance.
    """
    x, x0, _ = basis(1)
    ratio = levels.alpha / levels.alpha_next
    beta = levels.sigma**2 - ratio**2 * levels.sigma_next**2
    mean = (levels.alpha_next * beta * x0 + ratio * levels.sigma_next**2 * x) / levels.sigma**2
    std = np.sqrt(np.maximum(beta, 0)) * (levels.sigma_next > 0) if large else _posterior_std(levels)
    return table(len(levels), mean, noise_std=std)


def _posterior_std(levels: Levels) -> Floats:
    """(N, 1) the noise that keeps the marginals: sigma' * sqrt(1 - (alpha*sigma'/(alpha'*sigma))^2)."""
    kept = levels.alpha * levels.sigma_next / (levels.alpha_next * levels.sigma)
    return levels.sigma_next * np.sqrt(np.maximum(1 - kept**2, 0))


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
