"""The weights of linear multistep: exact integrals of polynomials, at any length, from any start."""

from __future__ import annotations

import warnings

import diffusers
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mezzotint.samplers.solvers import weights
from mezzotint.schedule import Schedule, karras

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@UNHURRIED
@given(st.integers(4, 30), st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_cubics_are_integrated_exactly(n: int, coefficients: list[float]) -> None:
    sigma = np.append(karras(14.6, 0.03, n), 0.0)
    w = weights(sigma[:-1], sigma[1:, None])[:, :, 0]
    p = np.polynomial.Polynomial(coefficients)
    for i in range(3, n):
        exact = p.integ()(sigma[i + 1]) - p.integ()(sigma[i])
        ours = sum(w[j, i] * p(sigma[i - j]) for j in range(4))
        size = sum(abs(w[j, i] * p(sigma[i - j])) for j in range(4))
        assert ours == pytest.approx(exact, abs=1e-12 * size + 1e-12)


def test_weights_are_those_of_diffusers() -> None:
    """By closed form here, by adaptive quadrature to 1e-4 there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = diffusers.LMSDiscreteScheduler.from_config(SD)
        scheduler.set_timesteps(12)
    sigma = scheduler.sigmas.double().numpy()
    w = weights(sigma[:-1], sigma[1:, None], leaps=False)[:, :, 0]
    for i in range(12):
        order = min(i + 1, 4)
        theirs = [scheduler.get_lms_coefficient(order, i, j) for j in range(order)]
        assert w[:order, i] == pytest.approx(theirs, rel=1e-4, abs=1e-6)
        assert np.all(np.abs(w[order:, i]) < 1e-20)


def test_a_start_in_the_middle() -> None:
    """Slopes that exist must add up to the step; diffusers weighs slopes that it does not have."""
    schedule = Schedule.from_config(SD)
    sigma = np.append(schedule.s_at(np.linspace(0, 999, 50)[::-1]), 0.0)
    step = sigma[11:] - sigma[10:-1]
    right = weights(sigma[10:-1], sigma[11:, None])[:, :, 0]
    slip = weights(sigma[:-1], sigma[11:, None])[:, :, 0]
    there = np.arange(4)[:, None] <= np.arange(40)  # slopes seen by then
    assert (right * there).sum(0) / step == pytest.approx(np.ones(40))
    assert ((slip * there).sum(0) / step)[:4] == pytest.approx([2.04, 0.26, 1.19, 1], abs=0.01)


@pytest.mark.parametrize("n", [50, 200, 2000])
def test_a_leap_is_not_extrapolated_over(n: int) -> None:
    """The last step of long Karras runs: Euler's, not a cubic of weights that cancel to its length."""
    sigma = np.append(karras(14.6, 0.03, n), 0.0)
    w, cubic = (weights(sigma[:-1], sigma[1:, None], leaps)[:, :, 0] for leaps in (True, False))
    assert np.all(np.abs(w).sum(0) < 10 * -np.diff(sigma))
    assert w[:, -1] == pytest.approx([-0.03, 0, 0, 0])
    assert np.abs(cubic[:, -1]).sum() > 10 * 0.03
    assert np.array_equal(w[:, :-1], cubic[:, :-1])
