"""The engine against the plainest loop that does what a Plan says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mezzotint.api import generate
from mezzotint.engine import Engine
from mezzotint.planning import Plan, plan
from mezzotint.request import Request
from mezzotint.rng import Generator
from mezzotint.samplers import SAMPLERS
from mezzotint.schedule import Schedule
from support.toy import Toy, schedule

Array = NDArray[np.float64]


def reference(request: Request, model: Toy, p: Plan) -> list[Array]:
    """x0 after each call, then the final latents; all in float64 but the network."""
    noise, shape = Generator(request.seed), (1, 4, 8, 8)
    slots = np.zeros((p.slots, *shape))
    slots[0] = p.init * noise.normal(shape)
    texts = [model.encode_text(text)[None] for text in (request.prompt, request.negative_prompt)]
    seen = []
    for s in range(p.evaluations):
        x, t = (p.input_scale[s] * slots[0]).astype(np.float32), np.array([p.timestep[s]], np.float32)
        cond, uncond = (model.denoise(x, t, text, 1).astype(np.float64) for text in texts)
        raw = p.x_coef[s] * slots[0] + p.out_coef[s] * (uncond + p.cfg[s] * (cond - uncond))
        guided = raw if p.clip is None else np.clip(raw, -p.clip, p.clip)
        seen.append(guided[0])
        slots = np.einsum("kj,j...->k...", p.update[s], np.stack([*slots, guided, raw]))
        if p.noise_std[s] > 0:
            slots[0] += p.noise_std[s] * noise.normal(shape)
    return [*seen, slots[0, 0]]


@pytest.mark.parametrize("guidance", ["none", "cfg(3)", "cfg(0.5)", "cfg(-2, start=0.2, stop=0.7)"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_engine_does_what_the_plan_says(sampler: str, guidance: str) -> None:
    model = Toy(schedule=schedule(clip_sample=sampler == "ddim", clip_sample_range=0.5))
    request = Request("a cat", "a dog", seed=3, steps=9, sampler=sampler, guidance=guidance)
    *expected, last = reference(request, model, plan(request, model.schedule))
    with Engine(model) as engine:
        picture = engine.submit(request, trace=1).result()
    for done, (snapshot, x0) in enumerate(zip(picture.trace, expected, strict=True), start=1):
        assert snapshot.evaluations == done
        np.testing.assert_allclose(snapshot.x0, x0, atol=2e-4)
    pixels = np.asarray(picture.image, int)
    assert np.abs(pixels - model.decode(last[None].astype(np.float32))).max() <= 1
    assert pixels.std() > 5
    assert np.mean((pixels > 0) & (pixels < 255)) > 0.5


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_whatever_the_network_predicts(prediction: str) -> None:
    model = Toy(schedule=schedule(prediction))
    request = Request("a cat", steps=5, sampler="euler", guidance="cfg(2)")
    with Engine(model) as engine:
        x0 = engine.submit(request, trace=1).result().trace[-1].x0
    expected = reference(request, model, plan(request, model.schedule))[-2]
    np.testing.assert_allclose(x0, expected, atol=1e-4 * np.abs(expected).max())


def test_unguided_steps_cost_one_row_and_guided_two() -> None:
    model = Toy()
    generate(Request("a", steps=10, guidance="cfg(3, start=0.2, stop=0.5)"), model)
    assert [rows for rows, _ in model.calls] == [1, 1, 2, 2, 2, 1, 1, 1, 1, 1]


def test_a_scale_that_is_1_only_in_float32_is_a_scale() -> None:
    barely = Request("a cat", "rain", seed=1, steps=3, sampler="euler", guidance="cfg(1.000000001)")
    full = replace(barely, guidance="cfg(3)", negative_prompt="fog")
    with Engine(Toy()) as engine:
        pictures = [future.result() for future in engine.submit_all([barely, full], trace=1)]
    for picture in pictures:
        *expected, _ = reference(picture.request, Toy(), plan(picture.request, Toy().schedule))
        np.testing.assert_allclose(picture.trace[-1].x0, expected[-1], atol=2e-4)


def test_noise_is_drawn_only_where_there_is_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a request draws as diffusers' pipelines do: the first latents, then once a noisy step."""

    def restless(request: Request, schedule: Schedule) -> Plan:
        return replace(plan(request, schedule), noise_std=np.array([0, 0.3, 0, 0.3, 0]))

    request = Request("a cat", steps=5, sampler="euler")
    expected = reference(request, Toy(), restless(request, Toy().schedule))
    monkeypatch.setattr("mezzotint.engine.engine.plan", restless)
    with Engine(Toy()) as engine:
        x0 = engine.submit(request, trace=1).result().trace[-1].x0
    np.testing.assert_allclose(x0, expected[-2], atol=2e-4)
