"""Noise by step: the levels are the plan's, the published numbers come out, and bad steps are refused."""

from __future__ import annotations

import numpy as np
import pytest

from mezzotint.errors import RequestError
from mezzotint.inspection.noise import add_noise, even_choice, level_at, level_of, levels
from mezzotint.planning import plan
from mezzotint.request import Request
from mezzotint.rng import Generator
from mezzotint.samplers import SAMPLERS
from support.toy import schedule

SD = schedule("epsilon")


def test_step_ten_means_nothing_alone() -> None:
    """Stable Diffusion with LMS: the sigma of step 10 of 15, and of step 10 of 50."""
    assert level_at(SD, "lms", 10, 15).sigma == pytest.approx(0.791, abs=5e-4)
    assert level_at(SD, "lms", 10, 50).sigma == pytest.approx(4.999, abs=5e-4)
    assert level_at(SD, "lms", 0, 15).sigma == pytest.approx(14.6146, abs=1e-4)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_levels_are_those_of_the_plan(sampler: str) -> None:
    table = plan(Request(sampler=sampler, steps=12), SD)
    run = levels(SD, sampler, 12)
    assert [level.step for level in run] == list(range(12))
    for level in run:
        call = np.flatnonzero(table.step == level.step)[0]
        assert (level.alpha, level.sigma) == (table.alpha[call], table.sigma[call])
    ratios = [level.ratio for level in run]
    assert ratios == sorted(ratios, reverse=True)


def test_a_sigma_has_its_timestep() -> None:
    step = level_at(SD, "lms", 10, 15)
    named = level_of(SD, step.sigma)
    assert named.alpha == 1
    assert named.timestep == pytest.approx(step.timestep, abs=1e-3)


def test_noise_is_that_of_the_seed_and_of_the_level() -> None:
    z = np.full((4, 8, 8), 2, np.float32)
    level = level_at(SD, "ddim", 5, 10)
    noise = Generator(3).normal(z.shape)
    assert np.allclose(add_noise(z, level, 3), level.alpha * 2 + level.sigma * noise, atol=1e-6)


@pytest.mark.parametrize(("step", "of"), [(-1, 15), (15, 15)])
def test_a_step_that_is_not_there(step: int, of: int) -> None:
    with pytest.raises(RequestError, match="step must be from 0 to 14 of 15"):
        level_at(SD, "lms", step, of)


@pytest.mark.parametrize("sigma", [0, -1, float("nan"), float("inf"), 1e9])
def test_a_sigma_that_is_none(sigma: float) -> None:
    with pytest.raises(RequestError, match="sigma must be"):
        level_of(SD, sigma)


def test_an_even_choice_has_the_ends() -> None:
    run = levels(SD, "lms", 50)
    some = even_choice(run, 15)
    assert (len(some), some[0], some[-1]) == (15, run[0], run[-1])
    assert even_choice(run[:4], 15) == run[:4]
