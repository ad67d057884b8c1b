"""Schedules: the tables of diffusers to the bit, and timesteps that never collide."""

from __future__ import annotations

from typing import Any

import diffusers
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mezzotint.errors import ModelError
from mezzotint.schedule import Schedule, karras, spaced_timesteps

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SD: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@pytest.mark.parametrize(
    "config",
    [
        SD,
        {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"num_train_timesteps": 37},
        {"trained_betas": [0.1, 0.2, 0.3]},
    ],
)
def test_table_of_diffusers_to_the_bit(config: dict[str, Any]) -> None:
    theirs = diffusers.DDPMScheduler.from_config(config).alphas_cumprod.double().numpy()
    assert np.array_equal(Schedule.from_config(config).alphas_cumprod, theirs)


def test_zero_terminal_snr() -> None:
    config = SD | {"rescale_betas_zero_snr": True}
    theirs = diffusers.DDPMScheduler.from_config(config).alphas_cumprod.double().numpy()
    ours = Schedule.from_config(config)
    assert ours.alphas_cumprod == pytest.approx(theirs, abs=1e-6)
    assert ours.alphas_cumprod[-1] == 0
    assert ours.table[-1] == pytest.approx(4096, rel=1e-6)


def test_published_numbers() -> None:
    """Fifteen steps of LMS on Stable Diffusion 1."""
    schedule = Schedule.from_config(SD)
    t = spaced_timesteps(1000, 15, "linspace")
    assert t[[0, 1, -1]] == pytest.approx([999, 927.64, 0], abs=0.01)
    assert schedule.s_at(t)[[0, 1, -1]] == pytest.approx([14.6146, 9.6826, 0.0292], abs=1e-4)


def test_sigma_and_timestep_are_inverse() -> None:
    schedule = Schedule.from_config(SD)
    t = np.arange(0, 1000, 37.0)
    assert schedule.t_at(schedule.s_at(t)) == pytest.approx(t, abs=1e-9)


@UNHURRIED
@example("leading", 1000, 1)
@given(st.sampled_from(["leading", "trailing", "linspace"]), st.integers(2, 2001), st.integers(0, 1))
def test_timesteps_fall_and_stay_inside(spacing: Any, n: int, offset: int) -> None:
    t = spaced_timesteps(1000, n, spacing, offset)
    assert len(t) == n
    assert np.all(np.diff(t) < 0)
    assert t[0] <= 999
    assert t[-1] >= 0
    if spacing != "leading":
        assert t[0] == 999


def test_spacing_conventions() -> None:
    assert spaced_timesteps(1000, 40, "leading")[[0, 1, -1]].tolist() == [975, 950, 0]
    assert spaced_timesteps(1000, 4, "leading", offset=1).tolist() == [751, 501, 251, 1]
    assert spaced_timesteps(1000, 4, "trailing").tolist() == [999, 749, 499, 249]
    assert spaced_timesteps(1000, 7, "trailing").tolist() == [999, 856, 713, 570, 428, 285, 142]
    assert spaced_timesteps(1000, 4, "linspace").tolist() == [999, 666, 333, 0]
    assert spaced_timesteps(1000, 1, "linspace").tolist() == [999]
    assert spaced_timesteps(1000, 1, "linspace", old=True).tolist() == [0]


@UNHURRIED
@given(st.integers(2, 2000))
def test_karras_keeps_the_ends(n: int) -> None:
    sigma = karras(14.6, 0.03, n)
    assert sigma[[0, -1]] == pytest.approx([14.6, 0.03])
    assert np.all(np.diff(sigma) < 0)


def test_what_a_config_says() -> None:
    read = Schedule.from_config(
        SD
        | {
            "_class_name": "DDIMScheduler",
            "prediction_type": "v_prediction",
            "steps_offset": 1,
            "set_alpha_to_one": False,
            "timestep_spacing": "trailing",
            "clip_sample": True,
            "clip_sample_range": 2.0,
        }
    )
    assert (read.prediction, read.steps_offset, read.set_alpha_to_one) == ("v_prediction", 1, False)
    assert (read.spacing, read.clip_sample, read.steps) == ("trailing", 2.0, 1000)
    assert Schedule.from_config(SD | {"_class_name": "PNDMScheduler"}).clip_sample is None
    assert Schedule.from_config(SD | {"_class_name": "DDPMScheduler"}).clip_sample == 1.0
    assert Schedule.from_config(SD).spacing is None


def test_flow() -> None:
    read = Schedule.from_config({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0})
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0).sigmas.double().numpy()
    assert read.prediction == "flow"
    assert 1 - np.sqrt(read.alphas_cumprod[::-1]) == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prediction_type": "v-prediction"}, "did you mean 'v_prediction'?"),
        ({"beta_schedule": "sigmoid"}, "beta_schedule is 'sigmoid'; Mezzotint knows linear"),
        ({"timestep_spacing": "log"}, "timestep_spacing is 'log'"),
        ({"thresholding": True}, "thresholding is True"),
        ({"variance_type": "learned_range"}, "variance_type is 'learned_range'"),
        ({"use_dynamic_shifting": True}, "use_dynamic_shifting is True"),
        ({"timestep_type": "continuous"}, "timestep_type is 'continuous'"),
        ({"num_train_timesteps": 0}, "num_train_timesteps is 0"),
        ({"num_train_timesteps": 10**9}, "num_train_timesteps is 1e+09; it must be from 2 to 100000"),
        ({"num_train_timesteps": "many"}, "configuration is damaged"),
        ({"trained_betas": [0.1, -0.2]}, "betas must be between 0 and 1"),
        ({"trained_betas": [0.1, float("nan")]}, "betas must be between 0 and 1"),
        ({"beta_start": None}, "configuration is damaged"),
        ({"steps_offset": 1000}, "steps_offset is 1000; it must be from 0 to 998"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 0}, "shift is 0"),
        ({"clip_sample": True, "clip_sample_range": -1}, "clip_sample_range is -1"),
        ({"prediction_type": ["epsilon"]}, "prediction_type is ['epsilon']"),
    ],
)
def test_what_it_cannot_do_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        Schedule.from_config(SD | change)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
