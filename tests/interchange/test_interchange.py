"""Names, schedules and prompts between tools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.errors import RequestError
from mezzotint.infotext import a1111_schedule, scales_noise, to_a1111
from mezzotint.interchange import find_sampler, find_spacing
from mezzotint.interchange.prompts import A1111, COMFYUI, translate
from mezzotint.prompt import parse
from mezzotint.request import Request
from mezzotint.samplers import SAMPLERS
from mezzotint.schedule import SPACINGS, Schedule

STABLE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}


@pytest.mark.parametrize("name", SAMPLERS)
def test_find_sampler_knows_each_of_ours_in_every_spelling(name: str) -> None:
    kind, extra = SAMPLERS[name].diffusers or ("", {})
    spellings = [
        name,
        SAMPLERS[name].a1111,
        name.replace("-", "_"),
        *([] if "algorithm_type" in extra else [kind]),
    ]
    for spelling in spellings:
        match = find_sampler(spelling)
        assert match is not None and (match.sampler, match.exact, match.schedule) == (name, True, "")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DPM++ 2M Karras", ("dpmpp-2m", True, "karras")),
        ("DPM++ 2M SDE Exponential", ("dpmpp-2m-sde", True, "exponential")),
        ("k_dpmpp_2m_ka", ("dpmpp-2m", True, "karras")),
        ("dpmpp_2m_k", ("dpmpp-2m", True, "karras")),
        ("euler_ancestral", ("euler-a", True, "")),
        ("k_euler_ancestral", ("euler-a", True, "")),
        ("uni_pc", ("unipc", True, "")),
        ("DPM2 a Karras", ("euler-a", False, "karras")),
        ("DPM++ SDE", ("dpmpp-2m-sde", False, "")),
        ("LCM", None),
        ("", None),
    ],
)
def test_find_sampler_reads_other_spellings(name: str, expected: tuple[str, bool, str] | None) -> None:
    assert find_sampler(name) == expected


@pytest.mark.parametrize(
    ("schedule", "sampler", "expected"),
    [
        ("Karras", "euler", ("karras", True)),
        ("Uniform", "euler", ("linspace", True)),
        ("normal", "dpmpp-2m", ("linspace", False)),
        ("SGM Uniform", "dpmpp-2m", ("linspace", True)),
        ("sgm_uniform", "euler", ("trailing", False)),
        ("exponential", "euler", ("karras", False)),
        ("ddim_uniform", "euler", ("leading", True)),
        ("of nobody", "euler", (None, False)),
    ],
)
def test_find_spacing(schedule: str, sampler: str, expected: tuple[str | None, bool]) -> None:
    assert find_spacing(schedule, sampler) == expected


@pytest.mark.parametrize(
    ("sampler", "spacing", "schedule"),
    [
        ("euler", "linspace", "Uniform"),
        ("euler", "karras", "Karras"),
        ("euler", "trailing", "Simple"),
        ("euler", "leading", "DDIM"),
        ("dpmpp-2m", "linspace", "SGM Uniform"),
        ("dpmpp-2m", "karras", "Karras"),
        ("dpmpp-2m", "trailing", "Simple"),
        ("ddim", "leading", "Automatic"),
        ("ddim", "trailing", "nearest: Automatic"),
        ("ddpm", "leading", ""),
    ],
)
def test_the_schedule_of_a1111_is_the_one_with_our_levels(sampler: str, spacing: str, schedule: str) -> None:
    assert (
        a1111_schedule(Request(sampler=sampler, spacing=spacing, steps=20), Schedule.from_config(STABLE))
        == schedule
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("steps", [1, 7, 1500])
def test_any_run_has_some_schedule(sampler: str, spacing: str, steps: int) -> None:
    request, schedule = Request(sampler=sampler, spacing=spacing, steps=steps), Schedule.from_config(STABLE)
    assert isinstance(a1111_schedule(request, schedule), str)
    assert isinstance(scales_noise(request, schedule), bool)


def test_the_noise_multiplier_is_said_where_the_first_noise_is_larger() -> None:
    schedule = Schedule.from_config(STABLE)
    assert scales_noise(
        Request(sampler="dpmpp-2m"), schedule
    )  # noise of size 1 in vp is hypot(sigma, 1) in ve
    assert not scales_noise(Request(sampler="euler", spacing="linspace"), schedule)
    assert scales_noise(Request(sampler="euler", spacing="leading"), schedule)


def weights(prompt: str) -> dict[str, float]:
    """Of each letter, as we read them."""
    return {c: piece.weight for piece in parse(prompt) for c in piece.text if c.isalpha()}


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab ()[]\\:.12,<"), max_size=30))
def test_a_prompt_goes_to_a1111_and_back(prompt: str) -> None:
    try:
        ours = parse(prompt)
    except RequestError:
        return
    back = parse(translate(to_a1111(prompt), A1111).text)
    assert "".join(piece.text for piece in back).split() == "".join(piece.text for piece in ours).split()
    assert np.allclose(
        [p.weight for p in back if p.text.strip()], [p.weight for p in ours if p.text.strip()], rtol=1e-3
    )


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("((a)) b", {"a": 1.21, "b": 1}),
        ("[a] b", {"a": 1 / 1.1, "b": 1}),
        (r"\(a\) (b:1.5", {"a": 1, "b": 1.1}),
    ],
)
def test_a1111_s_weights_are_written_out(prompt: str, expected: dict[str, float]) -> None:
    read = weights(translate(prompt, A1111).text)
    assert read.keys() == expected.keys() and np.allclose(
        list(read.values()), list(expected.values()), atol=1e-4
    )


def test_brackets_are_text_in_comfyui() -> None:
    assert translate("[a] (b)", COMFYUI).text == "[a] (b:1.1)"
