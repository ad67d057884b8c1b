"""A plan compiled from any request holds what the Plan promises, whatever the sampler."""

from __future__ import annotations

import dataclasses
import pickle
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mezzotint.errors import RequestError
from mezzotint.planning import Plan, plan
from mezzotint.request import Request
from mezzotint.samplers import SAMPLERS, Levels, SamplerRun, UpdateTable
from mezzotint.schedule import Schedule

Array = NDArray[np.float64]
PICTURE = "0" * 64
SD: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "set_alpha_to_one": False,
}
MODELS = {
    "epsilon": SD,
    "v_prediction": SD | {"prediction_type": "v_prediction"},
    "sample": SD | {"prediction_type": "sample"},
    "v_prediction from noise alone": SD | {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True},
    "flow": {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0},
}
SCHEDULES = {name: Schedule.from_config(config) for name, config in MODELS.items()}


def output(prediction: str, x: Array, x0: Array, alpha: float, sigma: float) -> Array:
    """What a network of this kind says when it believes in x0."""
    eps = (x - alpha * x0) / sigma
    vp = np.hypot(alpha, sigma)
    return {"epsilon": eps, "v_prediction": (alpha * eps - sigma * x0) / vp, "sample": x0, "flow": eps - x0}[
        prediction
    ]


def walk(p: Plan, prediction: str, x0_of: Any, z: Array, noise: Array) -> Array:
    """(S+1, ...) slot 0 before each call and at the end."""
    slots = np.zeros((p.slots, *z.shape))
    slots[0] = p.init * z
    seen = [slots[0]]
    for s in range(p.evaluations):
        o = output(prediction, slots[0], x0_of(slots[0], s), p.alpha[s], p.sigma[s])
        x0 = p.x_coef[s] * slots[0] + p.out_coef[s] * o
        slots = np.einsum("kj,j...->k...", p.update[s], np.concatenate([slots, [x0, x0]]))
        slots[0] += p.noise_std[s] * noise[s]
        seen.append(slots[0])
    return np.stack(seen)


REQUESTS = st.builds(
    Request,
    sampler=st.sampled_from(sorted(SAMPLERS)),
    steps=st.one_of(
        st.integers(1, 60), st.integers(1, 2000), st.sampled_from([499, 500, 999, 1000, 1001, 2000])
    ),
    spacing=st.sampled_from([None, "leading", "trailing", "linspace", "karras"]),
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(REQUESTS, st.sampled_from(sorted(MODELS)), st.data())
def test_a_known_picture_is_walked_to_exactly(request: Request, prediction: str, data: st.DataObject) -> None:
    """If the network knows x0, all samplers end at x0, and those without noise stay on alpha*x0 + sigma*eps:
    at any length, with any spacing, from any beginning, for any prediction."""
    begin = data.draw(st.sampled_from([0, request.steps // 3, request.steps - 1]))
    p = plan(replace(request, init=PICTURE, begin=begin), SCHEDULES[prediction])
    assert all(np.isfinite(getattr(p, f.name)).all() for f in dataclasses.fields(p) if f.name != "clip")
    x0, eps = np.array([0.7, -2.0]), np.array([1.5, 0.2])
    start = (p.alpha[0] * x0 + p.sigma[0] * eps) / p.init
    seen = walk(p, SCHEDULES[prediction].prediction, lambda x, s: x0, start, np.zeros((p.evaluations, 2)))
    if not p.noise_std.any():
        on_path = p.alpha[:, None] * x0 + p.sigma[:, None] * eps
        assert seen[:-1] == pytest.approx(on_path, rel=1e-6, abs=1e-6)
    ends_at_model = request.sampler in ("ddim", "pndm") and prediction != "flow"
    last = SCHEDULES[prediction].alphas_cumprod[0] if ends_at_model else 1.0
    end = np.sqrt(last) * x0 + np.sqrt(1 - last) * eps
    assert seen[-1] == pytest.approx(end, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 12])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_predictions_are_one(sampler: str, steps: int) -> None:
    """The same belief told as noise, velocity or picture leads along the same path."""
    rng = np.random.default_rng(3)
    z, noise = rng.standard_normal(8), rng.standard_normal((2 * steps + 1, 8))
    paths = []
    for prediction in ("epsilon", "v_prediction", "sample"):
        p = plan(Request(sampler=sampler, steps=steps), SCHEDULES[prediction])

        def belief(x: Array, s: int, p: Plan = p) -> Array:
            return np.tanh(x / np.hypot(p.alpha[s], p.sigma[s]) + p.timestep[s] / 700)

        paths.append(walk(p, prediction, belief, z, noise))
    assert paths[1] == pytest.approx(paths[0], rel=1e-9, abs=1e-9)
    assert paths[2] == pytest.approx(paths[0], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_two_thousand_steps_are_planned_at_once(sampler: str) -> None:
    seconds = []
    for _ in range(3):
        start = time.thread_time()
        p = plan(Request(sampler=sampler, steps=2000), SCHEDULES["epsilon"])
        seconds.append(time.thread_time() - start)
    assert min(seconds) < 0.1
    assert np.all(np.diff(p.timestep) <= 0)
    assert p.timestep.max() <= 999
    assert p.timestep.min() >= 0


@pytest.mark.parametrize(
    ("sampler", "calls"), [("euler", 10), ("heun", 19), ("pndm", 11), ("dpmpp-2m", 10), ("unipc", 10)]
)
def test_cost_is_known_before_the_first_step(sampler: str, calls: int) -> None:
    p = plan(Request(sampler=sampler, steps=10), SCHEDULES["epsilon"])
    assert (p.evaluations, p.rows) == (calls, 2 * calls)
    assert sorted(set(p.step)) == list(range(10))
    assert np.all(np.diff(p.step) >= 0)


def test_guidance_is_a_column() -> None:
    def cfg(guidance: str, sampler: str = "euler", compat: str = "") -> Plan:
        request = Request(sampler=sampler, steps=10, guidance=guidance, compat=compat)  # type: ignore[arg-type]
        return plan(request, SCHEDULES["epsilon"])

    assert cfg("cfg(7.5, start=0.2, stop=0.5)").cfg.tolist() == [1, 1, 7.5, 7.5, 7.5, 1, 1, 1, 1, 1]
    assert cfg("cfg(7.5, start=0.2, stop=0.5)").rows == 13
    assert cfg("cfg(1)").rows == cfg("none").rows == 10  # the row without the prompt is not computed
    for scale in (0.01, -1.0, 0.0):
        assert set(cfg(f"cfg({scale})").cfg) == {scale}
        assert cfg(f"cfg({scale})").rows == 20
        assert cfg(f"cfg({scale})", compat="diffusers").rows == 10  # stock pipelines switch it off
    assert cfg("cfg(3, stop=0.1)", "heun").cfg.tolist() == [3, 3, *[1] * 17]  # both calls of the first step


def test_x0_raw_is_the_direction_of_ddim_only() -> None:
    """Steering moves x0, and ddim keeps the direction that the network gave."""
    for sampler in SAMPLERS:
        raw = plan(Request(sampler=sampler, steps=7), SCHEDULES["epsilon"]).update[..., -1]
        assert raw.any() == (sampler == "ddim")


def test_a_run_begun_in_the_middle_is_the_rest_of_the_whole_one() -> None:
    for sampler in ("ddpm", "ddim", "euler", "euler-a", "heun"):  # those without memory between steps
        request = Request(sampler=sampler, steps=9)
        whole, rest = (
            plan(request, SCHEDULES["epsilon"]),
            plan(replace(request, init=PICTURE, begin=4), SCHEDULES["epsilon"]),
        )
        assert np.array_equal(rest.update, whole.update[whole.step >= 4])
        assert np.array_equal(rest.step, whole.step[whole.step >= 4])
        assert rest.init == rest.sigma[0]
    guided = Request(steps=9, guidance="cfg(3, stop=0.5)")
    assert plan(replace(guided, init=PICTURE, begin=4), SCHEDULES["epsilon"]).cfg.tolist() == [3, 1, 1, 1, 1]
    for begin in (-1, 9):
        with pytest.raises(RequestError, match="begin must be a whole number from 0 to 8"):
            Request(steps=9, init=PICTURE, begin=begin)


def test_a_plan_is_data() -> None:
    p = plan(Request(), SCHEDULES["epsilon"])
    with pytest.raises(ValueError, match="read-only"):
        p.update[0, 0, 0] = 1.0
    again = pickle.loads(pickle.dumps(p))
    assert all(np.array_equal(getattr(p, f.name), getattr(again, f.name)) for f in dataclasses.fields(p)[:-1])


def test_noise_alone_says_nothing_of_x0() -> None:
    """A noise-predicting network asked where no signal is left: x0 is large there, never infinite."""
    schedule = Schedule.from_config(SD | {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"})
    p = plan(Request(sampler="ddim", steps=4), schedule)
    assert p.alpha[0] == 0
    assert (p.x_coef[0], p.out_coef[0]) == pytest.approx((4096, -4096))


@pytest.mark.parametrize("compat", ["", "diffusers"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", [1, 2, 20, 1000, 2000])
def test_pndm_from_noise_alone(steps: int, prediction: str, compat: Any) -> None:
    """It leaves the noise as gently as ddim does: no row is blown up by 1/alpha where x0 is looked at again."""
    schedule = Schedule.from_config(
        SD | {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": prediction}
    )
    p = plan(Request(sampler="pndm", steps=steps, compat=compat), schedule)
    belief = walk(
        p, prediction, lambda x, s: np.tanh(x + s), np.array([1.0, -2.0]), np.zeros((p.evaluations, 2))
    )
    assert np.abs(belief).max() < 4


def test_a_plan_that_is_not_finite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(levels: Levels, run: SamplerRun) -> UpdateTable:
        table = SAMPLERS["euler"].fill(levels, run)
        return dataclasses.replace(table, update=table.update * np.nan)

    monkeypatch.setitem(SAMPLERS, "heun", SAMPLERS["heun"]._replace(fill=broken))
    with pytest.raises(RequestError, match="heun in 5 steps has no finite plan"):
        plan(Request(sampler="heun", steps=5), SCHEDULES["epsilon"])


def test_every_sampler_has_a_counterpart() -> None:
    assert all(sampler.diffusers for sampler in SAMPLERS.values())


def test_a_model_will_do_for_its_schedule() -> None:
    class Model:
        schedule = Schedule.from_config(SD)

    one, other = (plan(Request(steps=5), place) for place in (Model(), Model.schedule))
    assert np.array_equal(one.update, other.update)
