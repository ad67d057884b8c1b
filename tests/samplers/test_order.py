"""Samplers against the exact denoiser of a Gaussian, in closed form: order of convergence, and variance.

Levels are even in lambda from -2 to 2, so that nothing but the formulas of the sampler is under test.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from mezzotint.samplers.levels import Levels, UpdateTable
from mezzotint.samplers.solvers import ancestral, ddim, dpmpp_2m, dpmpp_2m_sde, euler, heun, lms, pndm, unipc

Array = NDArray[np.float64]
C = 0.6  # standard deviation of the data, whose mean is 0


def vp(lam: Array) -> tuple[Array, Array]:
    return 1 / np.sqrt(1 + np.exp(-2 * lam)), 1 / np.sqrt(1 + np.exp(2 * lam))


def ve(lam: Array) -> tuple[Array, Array]:
    return np.ones_like(lam), np.exp(-lam)


def flow(lam: Array) -> tuple[Array, Array]:
    return 1 / (1 + np.exp(-lam)), 1 / (1 + np.exp(lam))


def levels(coordinates: Callable[[Array], tuple[Array, Array]], n: int) -> Levels:
    alpha, sigma = coordinates(np.linspace(-2, 2, n + 1))
    return Levels.of(np.arange(n) * 1.0, alpha, sigma, init=1.0)


def std(alpha: Array, sigma: Array, c: float = C) -> Array:
    """Of x at a level."""
    return np.sqrt(alpha**2 * c**2 + sigma**2)


def transition(table: UpdateTable, at: Levels, s: int, c: float = C) -> Array:
    """(K, K) what call s does to the slots when the denoiser is exact, x0 = gain * x."""
    alpha, sigma = at.alpha[table.level[s], 0], at.sigma[table.level[s], 0]
    k = table.update.shape[1]
    x0 = alpha * c**2 / (alpha**2 * c**2 + sigma**2) * np.eye(k)[:1]
    return table.update[s] @ np.concatenate([np.eye(k), x0, x0])


def error(table: UpdateTable, at: Levels) -> float:
    """Of x at the end: exactly, x/std stays what it was."""
    slots = np.zeros(table.update.shape[1])
    slots[0] = std(at.alpha[0, 0], at.sigma[0, 0])
    for s in range(len(table.update)):
        slots = transition(table, at, s) @ slots
    return abs(float(slots[0] - std(at.alpha_next[-1, 0], at.sigma_next[-1, 0])))


def variance(table: UpdateTable, at: Levels, c: float = C) -> float:
    """Of x at the end over the true one, all noise propagated exactly."""
    k = table.update.shape[1]
    covariance = np.zeros((k, k))
    covariance[0, 0] = std(at.alpha[0, 0], at.sigma[0, 0], c) ** 2
    for s in range(len(table.update)):
        covariance = transition(table, at, s, c) @ covariance @ transition(table, at, s, c).T
        covariance[0, 0] += table.noise_std[s] ** 2
    return float(covariance[0, 0] / std(at.alpha_next[-1, 0], at.sigma_next[-1, 0], c) ** 2)


DETERMINISTIC = {
    "ddim vp": (vp, ddim, 1),
    "ddim flow": (flow, ddim, 1),
    "euler ve": (ve, euler, 1),
    "euler flow": (flow, euler, 1),
    "heun ve": (ve, heun, 2),
    "heun flow": (flow, heun, 2),
    "lms ve": (ve, lambda at: lms(at, np.zeros(0)), 2),  # its first step is Euler's
    "lms flow": (flow, lambda at: lms(at, np.zeros(0)), 2),
    "pndm vp": (vp, pndm, 2),
    "pndm flow": (flow, lambda at: pndm(at, "flow"), 2),
    "dpmpp-2m vp": (vp, dpmpp_2m, 2),
    "dpmpp-2m flow": (flow, dpmpp_2m, 2),
    "unipc vp": (vp, unipc, 2),
    "unipc flow": (flow, unipc, 2),
    "pndm vp, extrapolating v": (vp, lambda at: pndm(at, "v"), 1),  # what `compat` is for
}
STOCHASTIC = {
    "ddim 0.5": (vp, lambda at: ddim(at, 0.5)),
    "ddim 1": (vp, lambda at: ddim(at, 1.0)),
    "ddpm": (vp, ancestral),
    "euler-a": (ve, ancestral),
    "ancestral flow": (flow, ancestral),
    "dpmpp-2m-sde": (vp, dpmpp_2m_sde),
    "dpmpp-2m-sde flow": (flow, dpmpp_2m_sde),
}


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_order_of_convergence(name: str) -> None:
    coordinates, fill, order = DETERMINISTIC[name]
    errors = [error(fill(at), at) for at in (levels(coordinates, n) for n in (160, 320, 640))]
    slopes = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all(slopes > order - 0.12)
    if order == 1:
        assert np.all(slopes < 1.5)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_variance(name: str) -> None:
    coordinates, fill = STOCHASTIC[name]
    off = [abs(variance(fill(at), at) - 1) for at in (levels(coordinates, n) for n in (100, 200, 400))]
    assert off[2] < 0.01
    assert np.all(np.divide(off[:-1], off[1:]) > 1.8)  # at least first order


@pytest.mark.parametrize("name", STOCHASTIC)
def test_noise_keeps_the_marginals(name: str) -> None:
    """Where x0 is known the variance is exact, in however few steps."""
    coordinates, fill = STOCHASTIC[name]
    for n in (1, 2, 7):
        at = levels(coordinates, n)
        assert variance(fill(at), at, c=0.0) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_ancestral_is_ddim_with_all_its_noise(eta: float) -> None:
    at = levels(vp, 9)
    ours = ddim(at, eta).update
    same = np.allclose(ours[..., 1] + ours[..., 2], ancestral(at).update[..., 1])
    assert same == (eta == 1.0)
