"""The engine with real networks: tiny, with random weights, executed by OpenVINO and by torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from mezzotint.engine import Engine, Network
from mezzotint.models import open_model
from mezzotint.request import Request
from mezzotint.samplers import SAMPLERS
from support import tiny

REQUEST = Request("the cat on the moon", "in the cat", seed=7, steps=6, guidance="cfg(3)")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return folder, tiny.make_pipeline(folder)


@pytest.fixture(scope="module")
def models(made: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Network]:
    folder, cache = made[0], tmp_path_factory.mktemp("cache")
    return {
        "openvino": open_model(folder, "openvino", "float32", cache=cache),
        "torch": open_model(folder, "torch", "float32", cache=cache),
    }


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
def test_exact_is_exact_and_fast_is_close(models: dict[str, Network], runtime: str) -> None:
    kinds = [("euler-a", "cfg(3)"), ("lms", "cfg(0.5)"), ("unipc", "cfg(-2, stop=0.5)")]
    some = [
        replace(REQUEST, seed=i, steps=2 + i, sampler=sampler, guidance=guidance)
        for i, (sampler, guidance) in enumerate(kinds)
    ]
    for mode, limit in (("exact", 0), ("fast", 2)):
        with Engine(models[runtime], mode) as engine:  # type: ignore[arg-type]
            company = [future.result() for future in engine.submit_all(some)]
            alone = [engine.submit(request).result() for request in some]
        for one, other in zip(company, alone, strict=True):
            difference = np.asarray(one.image, int) - np.asarray(other.image, int)
            assert np.abs(difference).max() <= limit
        assert len({picture.digest for picture in company}) == len(some)


@pytest.mark.parametrize(
    ("sampler", "runtime"), [*((sampler, "openvino") for sampler in SAMPLERS), ("euler-a", "torch")]
)
def test_the_pictures_are_those_of_diffusers(
    models: dict[str, Network], made: tuple[Path, Any], sampler: str, runtime: str
) -> None:
    name, more = SAMPLERS[sampler].diffusers or ("", {})
    folder, pipeline = made
    scheduler = getattr(diffusers, name).from_pretrained(folder, subfolder="scheduler", **more)
    pipe = diffusers.StableDiffusionPipeline(**{**pipeline.components, "scheduler": scheduler})
    pipe.set_progress_bar_config(disable=True)
    expected = pipe(
        REQUEST.prompt,
        negative_prompt=REQUEST.negative_prompt,
        num_inference_steps=REQUEST.steps,
        guidance_scale=3.0,
        generator=torch.Generator("cpu").manual_seed(REQUEST.seed),
        output_type="np",
    ).images[0]
    with Engine(models[runtime]) as engine:
        picture = engine.submit(replace(REQUEST, sampler=sampler, compat="diffusers")).result()
    difference = np.asarray(picture.image, float) - expected * 255
    assert np.abs(difference).max() <= 2
    assert expected.std() > 0.01


@pytest.mark.filterwarnings("ignore::mezzotint.models.TruncatedPromptWarning")
def test_every_picture_of_a_cut_prompt_says_so(models: dict[str, Network]) -> None:
    long = replace(REQUEST, negative_prompt="cat " * 75 + "moon", steps=1)
    with Engine(models["openvino"]) as engine:
        first, again = (engine.submit(long).result().provenance.warnings for _ in range(2))
        plain = engine.submit(REQUEST).result().provenance.warnings
        prompt = engine.submit(replace(REQUEST, prompt="moon " * 76, steps=1)).result().provenance.warnings
    rest = "is longer than 75 tokens; all from the word 'moon' on has no effect"
    assert (first, again) == ([f"the negative prompt {rest}"],) * 2
    assert (plain, prompt) == ([], [f"the prompt {rest}"])


def test_pictures_say_how_many_threads_computed(
    models: dict[str, Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models["openvino"]._runtime, "threads", 3, raising=False)  # type: ignore[attr-defined]
    with Engine(models["openvino"]) as engine:
        assert engine.submit(replace(REQUEST, steps=1)).result().provenance.threads == 3


def test_bundled_gradients_are_the_same_in_company() -> None:
    """In the numbers that this machine computes gradients in, and with the shapes that calls are padded to."""
    terms = [
        'clip("a red rose", 40)',
        'clip("the sea", effect=0.1, cutouts=2)',
        'color("#19e680", effect=0.2)',
    ]
    some = [
        Request("a cat", seed=i, steps=4, guidance=f"cfg(4) + {term}", sampler="ddim")
        for i, term in enumerate([*terms, terms[0]])
    ]
    with Engine(open_model("emoji")) as engine:
        company = [future.result() for future in engine.submit_all(some)]
        alone = [engine.submit(request).result() for request in some[:3]]
    for one, other in zip(company, alone, strict=False):
        assert np.abs(np.asarray(one.image, int) - np.asarray(other.image, int)).max() <= 2
        assert len(one.ledger) == 4
