"""Every sampler takes the steps of its counterpart in diffusers, whatever the network is.

Both sides run in float64; what differs is that diffusers keeps its tables, and some of its sums, in float32.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mezzotint.planning import Plan, plan
from mezzotint.request import Request
from mezzotint.samplers import SAMPLERS
from mezzotint.schedule import Schedule

Array = NDArray[np.float64]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers", "ignore:.*scale_model_input")
SD: dict[str, Any] = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "clip_sample": False,
}
PIXELS: dict[str, Any] = {
    "_class_name": "DDPMScheduler",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "num_train_timesteps": 1000,
    "clip_sample": True,
}
FLOW: dict[str, Any] = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}
STEPS = (1, 2, 5, 7, 20, 50)  # 7 does not divide 1000
TOLERANCE = 1e-5
K_FAMILY = ("euler", "euler-a", "heun", "lms")
KARRAS = ("euler", "heun", "lms", "dpmpp-2m", "dpmpp-2m-sde", "unipc")  # those that diffusers has them for
rng = np.random.default_rng(7)
Z, NOISE = rng.standard_normal((1, 3, 4, 4)), rng.standard_normal((60, 1, 3, 4, 4))


def network(x: Array, t: float) -> Array:
    """Nothing in particular, but nonlinear, mixing its inputs, and aware of the time."""
    mixed = 0.3 * np.cos(2 * x[:, ::-1]) - 0.2 * np.roll(x, 1, -1)
    return np.asarray(0.9 * np.tanh(1.3 * x + np.sin(t / 140)) + mixed)


def scheduler_of(sampler: str, config: dict[str, Any], **changes: Any) -> Any:
    """As users of diffusers get it: `XScheduler.from_config(pipe.scheduler.config)`."""
    name, extra = SAMPLERS[sampler].diffusers or ("", {})
    model = getattr(diffusers, config["_class_name"]).from_config(config)
    return getattr(diffusers, name).from_config(model.config, **{**extra, **changes})


def is_ve(scheduler: Any) -> bool:
    return not type(scheduler).__name__.startswith(("DPM", "UniPC"))


def theirs(patch: pytest.MonkeyPatch, scheduler: Any, steps: int, begin: int = 0, **step: Any) -> list[Array]:
    """The latents after each call of a diffusers pipeline."""
    fresh = iter(NOISE)
    module = sys.modules[type(scheduler).__module__]
    if hasattr(module, "randn_tensor"):
        patch.setattr(module, "randn_tensor", lambda *_, **__: torch.from_numpy(next(fresh)))
    scheduler.set_timesteps(steps)
    x = torch.from_numpy(Z) * float(getattr(scheduler, "init_noise_sigma", 1.0))
    if begin:
        scheduler.set_begin_index(begin)
        sigma = float(scheduler.sigmas[begin])
        x = torch.from_numpy(Z) * (sigma if is_ve(scheduler) else sigma / (1 + sigma**2) ** 0.5)
    seen = []
    for t in scheduler.timesteps[begin:]:
        scaled = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        o = torch.from_numpy(network(scaled.double().numpy(), float(t)))
        x = scheduler.step(o, t, x, **step).prev_sample.double()
        seen.append(x.numpy())
    return seen


@pytest.fixture
def distance(walk: Callable[..., Any]) -> Callable[..., float]:
    """The largest relative difference over all calls."""

    def measure(ours: Plan, reference: list[Array], threshold: Any = None) -> float:
        seen = list(walk(ours, network, ours.init * Z, NOISE, threshold))
        assert len(seen) == len(reference)
        return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(seen, reference, strict=True))

    return measure


def cases() -> list[Any]:
    """Sampler, spacing, prediction: all that diffusers supports."""
    return [
        (sampler, spacing, prediction)
        for sampler in SAMPLERS
        for spacing in (None, "leading", "trailing", "linspace", "karras")
        for prediction in ("epsilon", "v_prediction", "sample")
        if not (spacing == "karras" and sampler not in KARRAS)
        and not (prediction == "sample" and sampler in ("euler-a", "pndm"))
    ]


@pytest.mark.parametrize(("sampler", "spacing", "prediction"), cases())
def test_same_steps(
    sampler: str, spacing: str | None, prediction: str, distance: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"timestep_spacing": spacing} if spacing else {}
    changes = {"use_karras_sigmas": True} if spacing == "karras" else changes
    config = SD | {"prediction_type": prediction}
    for steps in STEPS:
        request = Request(sampler=sampler, steps=steps, spacing=spacing, compat="diffusers")
        reference = theirs(monkeypatch, scheduler_of(sampler, config, **changes), steps)
        assert distance(plan(request, Schedule.from_config(config)), reference) < TOLERANCE, steps


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_same_steps_by_default(sampler: str, distance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what Stable Diffusion 1 ships, no `compat` is needed for the same picture."""
    for steps in STEPS[1:]:
        reference = theirs(monkeypatch, scheduler_of(sampler, SD), steps)
        ours = plan(Request(sampler=sampler, steps=steps), Schedule.from_config(SD))
        assert distance(ours, reference) < TOLERANCE, steps


def test_compat_changes_known_slips_only() -> None:
    """Where a default plan differs from the one with the slips of diffusers, the slip is on this list."""

    def listed(sampler: str, spacing: str, steps: int, prediction: str) -> bool:
        apart = sampler in ("ddim", "pndm") and (
            (spacing == "linspace" and steps > 1) or (spacing == "trailing" and 1000 % steps > 0)
        )
        velocity = sampler == "pndm" and prediction == "v_prediction"
        one = steps == 1 and spacing == "linspace" and sampler in (*K_FAMILY, "ddim", "ddpm", "pndm")
        one = one or (steps == 1 and spacing == "karras" and sampler in K_FAMILY)
        leap = sampler == "lms" and spacing == "karras" and steps > 35
        return apart or velocity or one or leap

    for sampler in SAMPLERS:
        for spacing in ("leading", "trailing", "linspace", "karras"):
            for steps in (1, 2, 7, 20, 50, 200):
                for prediction in ("epsilon", "v_prediction"):
                    schedule = Schedule.from_config(SD | {"prediction_type": prediction})
                    request = Request(sampler=sampler, spacing=spacing, steps=steps)
                    right = plan(request, schedule)
                    slip = plan(Request(**{**vars(request), "compat": "diffusers"}), schedule)
                    same = np.array_equal(right.update, slip.update) and np.array_equal(
                        right.alpha, slip.alpha
                    )
                    same = same and np.array_equal(right.timestep, slip.timestep)
                    assert same != listed(sampler, spacing, steps, prediction), (request, prediction)


@pytest.mark.parametrize("eta", [0.5, 1.0])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_ddim_with_noise(eta: float, prediction: str, distance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    config = SD | {"prediction_type": prediction}
    for steps in STEPS:
        reference = theirs(monkeypatch, scheduler_of("ddim", config), steps, eta=eta)
        ours = plan(Request(sampler="ddim", eta=eta, steps=steps), Schedule.from_config(config))
        assert distance(ours, reference) < TOLERANCE, steps


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_pixel_models(sampler: str, distance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linear betas; of diffusers' only ddpm, ddim and heun clip x0, ddim keeping the direction that the unclipped gave."""
    for steps in (5, 20, 40):  # from 157 to 0.01 in two steps, float32 has nothing left
        reference = theirs(monkeypatch, scheduler_of(sampler, PIXELS), steps)
        ours = plan(Request(sampler=sampler, steps=steps, compat="diffusers"), Schedule.from_config(PIXELS))
        assert (ours.clip == 1.0) == (sampler in ("ddpm", "ddim", "heun"))
        assert plan(Request(sampler=sampler, steps=steps), Schedule.from_config(PIXELS)).clip == 1.0
        assert distance(ours, reference) < TOLERANCE, steps


def test_upper_variance(distance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    config = PIXELS | {"variance_type": "fixed_large"}
    reference = theirs(monkeypatch, scheduler_of("ddpm", config), 20)
    assert (
        distance(plan(Request(sampler="ddpm", steps=20), Schedule.from_config(config)), reference) < TOLERANCE
    )


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_thresholded_x0_goes_through_the_guided_column(
    sampler: str, distance: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = PIXELS | {"clip_sample": False}
    thresholding = {"thresholding": True, "dynamic_thresholding_ratio": 0.7, "sample_max_value": 2.0}
    scheduler = scheduler_of(sampler, config, **thresholding)
    ours = plan(Request(sampler=sampler, steps=20), Schedule.from_config(config))

    def threshold(x0: Array) -> Array:
        s = np.clip(np.quantile(np.abs(x0), 0.7), 1, 2)
        return np.clip(x0, -s, s) / s

    reference = theirs(monkeypatch, scheduler, 20)
    assert distance(ours, reference, threshold) < TOLERANCE
    assert distance(ours, reference) > 0.01  # the threshold was at work


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "euler", "euler-a", "dpmpp-2m", "unipc"])
def test_zero_terminal_snr(sampler: str, distance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    config = SD | {
        "_class_name": "DDIMScheduler",
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    }
    reference = theirs(monkeypatch, scheduler_of(sampler, config), 20)
    assert distance(plan(Request(sampler=sampler, steps=20), Schedule.from_config(config)), reference) < 5e-5


@pytest.mark.parametrize("schedule", ["linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_other_schedules(sampler: str, schedule: str, distance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    config = SD | {"beta_schedule": schedule, "num_train_timesteps": 500, "timestep_spacing": "trailing"}
    reference = theirs(monkeypatch, scheduler_of(sampler, config), 10)
    assert (
        distance(plan(Request(sampler=sampler, steps=10), Schedule.from_config(config)), reference)
        < TOLERANCE
    )


@pytest.mark.parametrize("spacing", [None, "trailing"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_model_that_asks_for_karras_sigmas(
    sampler: str, spacing: str | None, distance: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heeded by the samplers whose counterparts know of them; what a request says comes first."""
    config = SD | {"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True}
    changes = {"timestep_spacing": spacing, "use_karras_sigmas": False} if spacing else {}
    reference = theirs(monkeypatch, scheduler_of(sampler, config, **changes), 10)
    ours = plan(Request(sampler=sampler, steps=10, spacing=spacing), Schedule.from_config(config))
    assert distance(ours, reference) < TOLERANCE


@pytest.mark.parametrize("sampler", [*K_FAMILY, "dpmpp-2m", "dpmpp-2m-sde", "unipc"])
def test_begun_in_the_middle(sampler: str, distance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As image-to-image begins: history starts anew, except for the slip of LMS."""
    index = 20 if sampler == "heun" else 10  # heun calls twice a step
    reference = theirs(monkeypatch, scheduler_of(sampler, SD), 50, index)
    run: dict[str, Any] = {"sampler": sampler, "steps": 50, "init": "0" * 64, "begin": 10}
    ours = plan(Request(**run, compat="diffusers"), Schedule.from_config(SD))
    assert distance(ours, reference) < TOLERANCE
    right = plan(Request(**run), Schedule.from_config(SD))
    assert (distance(right, reference) < TOLERANCE) == (sampler != "lms")


@pytest.mark.parametrize("begin", [1, 2, 48, 49])
@pytest.mark.parametrize("sampler", [*K_FAMILY, "dpmpp-2m", "dpmpp-2m-sde", "unipc"])
def test_begun_early_and_late(
    sampler: str, begin: int, distance: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = 2 * begin if sampler == "heun" else begin
    reference = theirs(monkeypatch, scheduler_of(sampler, SD), 50, index)
    request = Request(sampler=sampler, steps=50, init="0" * 64, begin=begin, compat="diffusers")
    assert distance(plan(request, Schedule.from_config(SD)), reference) < TOLERANCE


@pytest.mark.parametrize("begin", [1, 2, 3, 10, 23, 24])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
def test_pndm_begun_in_the_middle(spacing: str, prediction: str, begin: int, distance: Any) -> None:
    """Image-to-image cuts the list of calls, in which the second step stands twice, and not the list of steps."""
    config = SD | {"prediction_type": prediction, "timestep_spacing": spacing}
    scheduler: Any = scheduler_of("pndm", config)
    scheduler.set_timesteps(25)
    times = scheduler.timesteps[begin:]
    x = scheduler.add_noise(
        torch.zeros(Z.shape, dtype=torch.float64), torch.from_numpy(Z), times[:1]
    ).double()
    reference = []
    for t in times:
        x = scheduler.step(torch.from_numpy(network(x.numpy(), float(t))), t, x).prev_sample.double()
        reference.append(x.numpy())
    run: dict[str, Any] = {"sampler": "pndm", "steps": 25, "init": "0" * 64, "begin": begin}
    ours = plan(Request(**run, compat="diffusers"), Schedule.from_config(config))
    assert distance(ours, reference) < TOLERANCE
    assert plan(Request(**run), Schedule.from_config(config)).step[0] == begin  # without the slip, as it says


def flux_timesteps(scheduler: Any, steps: int) -> None:
    type(scheduler).set_timesteps(scheduler, sigmas=np.linspace(1, 1 / steps, steps))


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("spacing", [None, "karras", "trailing"])
def test_flow_matching(
    shift: float, spacing: str | None, distance: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = FLOW | {"shift": shift}
    flow: Any = diffusers.FlowMatchEulerDiscreteScheduler
    for steps in STEPS:
        scheduler = flow.from_config(config, use_karras_sigmas=spacing == "karras")
        if spacing == "trailing":  # as the pipelines of Flux do
            monkeypatch.setattr(scheduler, "set_timesteps", partial(flux_timesteps, scheduler))
        reference = theirs(monkeypatch, scheduler, steps)
        ours = plan(Request(sampler="euler", steps=steps, spacing=spacing), Schedule.from_config(config))
        assert distance(ours, reference) < TOLERANCE, steps
