"""A request is checked at the door, and is the same after a round trip through JSON."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mezzotint.errors import RequestError
from mezzotint.guidance import Cfg, Guidance
from mezzotint.request import Request
from mezzotint.samplers import SAMPLERS

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SIZES = st.none() | st.integers(8, 256).map(lambda n: 8 * n)
REQUESTS = st.builds(
    Request,
    prompt=st.text(max_size=30),
    negative_prompt=st.text(max_size=30),
    seed=st.integers(0, 2**63 - 1),
    width=SIZES,
    height=SIZES,
    steps=st.integers(1, 2000),
    sampler=st.sampled_from(sorted(SAMPLERS)),
    spacing=st.sampled_from([None, "leading", "trailing", "linspace", "karras"]),
    guidance=st.floats(-1e6, 1e6).map(lambda scale: Guidance((Cfg(scale),))),
    compat=st.sampled_from(["", "diffusers"]),
)


@UNHURRIED
@given(REQUESTS)
def test_json_round_trip(request: Request) -> None:
    again = Request.from_json(request.to_json())
    assert again == request
    assert again.digest == request.digest
    assert hash(again) == hash(request)


def test_canonical_json() -> None:
    text = Request(prompt="Bücher", guidance=" cfg( 7.50 ) ", eta=0, seed=np.int64(3)).to_json()  # type: ignore[arg-type]
    assert " " not in text
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert text == Request(prompt="Bücher", guidance=Cfg(7.5), eta=0.0, seed=3).to_json()
    assert "Bücher" in text


def test_the_digest_is_pinned() -> None:
    """Pictures are stored under it: when this changes, every store is lost."""
    assert Request(prompt="a cat").to_json() == (
        '{"compat":"","eta":0.0,"guidance":"cfg(7.5)","height":null,"negative_prompt":"","prompt":"a cat",'
        '"sampler":"dpmpp-2m","seed":0,"spacing":null,"steps":25,"width":null}'
    )
    assert (
        Request(prompt="a cat").digest == "6fe8c2631af21ba4b65ee4d677ac49ba0c543edd8f7346afe9cf1debab0f7e50"
    )
    assert Request(prompt="a cat").digest != Request(prompt="a cat", seed=1).digest


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("sampler", "eulr", "did you mean 'euler'?"),
        ("sampler", 3, "sampler 3 is unknown"),
        ("spacing", "trailling", "did you mean 'trailing'?"),
        ("compat", "difusers", "did you mean 'diffusers'?"),
        ("steps", 0, "steps must be a whole number from 1 to 2000, got 0"),
        ("steps", -1, "from 1 to 2000, got -1"),
        ("steps", 10**9, "from 1 to 2000, got 1000000000"),
        pytest.param("steps", 10**5000, "from 1 to 2000, got a very long number", id="huge"),
        ("steps", 25.0, "from 1 to 2000, got 25.0"),
        ("steps", True, "from 1 to 2000, got True"),
        ("steps", "25", "from 1 to 2000, got '25'"),
        ("seed", -1, "from 0 to 9223372036854775807"),
        ("seed", 2**63, "from 0 to 9223372036854775807"),
        ("seed", False, "got False"),
        ("seed", None, "got None"),
        ("width", 100, "width must be a whole number divisible by 8 from 64 to 2048, got 100"),
        ("height", 10**6, "height must be a whole number divisible by 8 from 64 to 2048, got 1000000"),
        ("width", 56, "from 64 to 2048, got 56"),
        ("width", 512.0, "got 512.0"),
        ("eta", 1.5, "eta must be from 0 to 1, got 1.5"),
        ("eta", float("nan"), "eta must be a finite number"),
        ("eta", True, "eta must be a finite number"),
        ("eta", 0.5, "eta is for the ddim sampler; with dpmpp-2m leave it out"),
        ("guidance", "cfg(1e999)", "cfg: scale must be a finite number"),
        ("guidance", -7.5, "for the formula write cfg(-7.5)"),
        ("guidance", float("nan"), "guidance must be a finite number, got nan"),
        ("guidance", True, "guidance must be a finite number, got True"),
        ("guidance", None, "got None"),
        ("guidance", "cfg(5, stop=1e-9)", "'cfg(5, stop=1e-09)' acts on no step of 25"),
        ("guidance", "cfg(5, start=0.97)", "acts on no step of 25; move start and stop apart, or write none"),
        ("prompt", 3, "prompt must be text, got 3"),
        ("negative_prompt", "\ud800", "half a surrogate pair"),
    ],
)
def test_one_line_that_says_what_to_do(field: str, value: Any, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        Request(**{field: value})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"promt": "a"}', "a request has no 'promt'; did you mean 'prompt'?"),
        ('{"zzzzzzzz": 1}', "a request has no 'zzzzzzzz'"),
        ("[1]", "a request must be a JSON object, got list"),
        ("{", "a request must be JSON"),
        ("[" * 100_000, "a request must be JSON"),
        ('{"guidance": ["cfg(7.5)"]}', "guidance must be text"),
        ('{"sampler": {}}', "sampler {} is unknown"),
        ('{"eta": NaN, "sampler": "ddim"}', "eta must be a finite number"),
        ('{"steps": 1e400}', "steps must be a whole number"),
    ],
)
def test_json_from_anywhere(text: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        Request.from_json(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


ANYTHING = (
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9) | st.just([]) | st.just({})
)


@UNHURRIED
@given(st.sampled_from([field.name for field in fields(Request)]), ANYTHING)
def test_any_value_is_taken_or_refused(field: str, value: Any) -> None:
    """Taken, it can be written and read back; refused, it is with one line."""
    text = json.dumps({field: value})
    try:
        request = Request.from_json(text)
    except RequestError:
        with pytest.raises(RequestError, match=r"\A[^\n]+\Z"):
            Request.from_json(text)
    else:
        assert Request.from_json(request.to_json()) == request


def test_repeat() -> None:
    request = Request(seed=5)
    assert [r.seed for r in request.repeat(3)] == [5, 6, 7]
    assert request.repeat(1) == [request]
    assert {replace(r, seed=0) for r in request.repeat(3)} == {replace(request, seed=0)}
    for n in (0, -1, 10**9, True, 2.0):
        with pytest.raises(RequestError, match="repeat must be a whole number"):
            request.repeat(n)  # type: ignore[arg-type]
    with pytest.raises(
        RequestError,
        match=f"seed must be at most {2**63 - 2} where 2 pictures count up from it, got {2**63 - 1}",
    ):
        Request(seed=2**63 - 1).repeat(2)
    assert Request(seed=2**63 - 2).repeat(2)[1].seed == 2**63 - 1


def test_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Request().steps = 3  # type: ignore[misc]


def test_guidance_is_kept_as_text() -> None:
    request = Request(guidance=Cfg(3, stop=0.5) + Cfg(2, start=0.5))
    assert request.guidance == "cfg(3, stop=0.5) + cfg(2, start=0.5)"
    assert request.terms == Guidance((Cfg(3.0, 0.0, 0.5), Cfg(2.0, 0.5, 1.0)))
    assert Request(guidance="").guidance == "none"


def test_guidance_of_a_number_is_the_cfg_scale_of_other_tools() -> None:
    assert [Request(guidance=scale).guidance for scale in (5, 7.5, 1, 0.5, 0)] == [
        "cfg(5)", "cfg(7.5)", "none", "none", "none",
    ]  # fmt: skip
    assert Request(guidance=5).digest == Request(guidance="cfg(5)").digest


def test_a_megabyte_of_prompt_is_cut_to_more_than_any_encoder_reads() -> None:
    request = Request(prompt="moon   " * 150_000)
    assert request.prompt == ("moon " * 2000)[:10_000]
    assert Request.from_json(request.to_json()) == request
