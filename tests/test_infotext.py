"""The settings line, as AUTOMATIC1111 writes it and reads it back."""

from __future__ import annotations

import contextlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.infotext import SCHEDULE_NAMES, infotext
from mezzotint.request import Request
from mezzotint.samplers import SAMPLERS
from mezzotint.schedule import SPACINGS

SETTING = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')  # from its infotext_utils.py


def unquoted(text: str) -> str:
    with contextlib.suppress(ValueError):
        return str(json.loads(text)) if text[:1] == text[-1:] == '"' else text
    return text


def read(text: str) -> tuple[str, str, dict[str, str]]:
    """As that tool reads it: prompt, negative prompt, settings."""
    *lines, last = text.strip().split("\n")
    settings = {key: unquoted(value) for key, value in SETTING.findall(last)}
    split = next((i for i, line in enumerate(lines) if line.startswith("Negative prompt:")), len(lines))
    negative = "\n".join(lines[split:]).removeprefix("Negative prompt:").strip()
    return "\n".join(lines[:split]).strip(), negative, settings


def written(request: Request, model: str = "emoji") -> dict[str, str]:
    return read(infotext(request, (128, 64), model, "0123456789abcdef", "0.1.0"))[2]


def test_every_sampler_and_spacing_has_a_name() -> None:
    assert all(sampler.a1111 for sampler in SAMPLERS.values())
    assert set(SCHEDULE_NAMES) == {None, *SPACINGS}
    assert len({sampler.a1111 for sampler in SAMPLERS.values()}) == len(SAMPLERS)


@pytest.mark.parametrize(
    ("guidance", "scale"),
    [
        ("cfg(7.5)", "7.5"),
        ("cfg(7)", "7"),
        ("none", "1"),
        ("cfg(-0.25)", "-0.25"),
        ("cfg(3, start=0.5)", "3"),
    ],
)
def test_the_scale(guidance: str, scale: str) -> None:
    assert written(Request(guidance=guidance))["CFG scale"] == scale


def test_the_order_of_the_settings() -> None:
    request = Request(sampler="ddim", eta=0.5, spacing="karras", seed=2**63 - 1, steps=3)
    assert written(request) == {
        "Steps": "3",
        "Sampler": "DDIM",
        "Schedule type": "Karras",
        "CFG scale": "7.5",
        "Seed": str(2**63 - 1),
        "Size": "128x64",
        "Model hash": "0123456789",
        "Model": "emoji",
        "RNG": "CPU",
        "Eta DDIM": "0.5",
        "Version": "mezzotint 0.1.0",
    }


@given(st.text(st.characters(codec="ascii", min_codepoint=32), min_size=1).filter(str.strip))
def test_a_model_s_name_cannot_forge_a_setting(name: str) -> None:
    settings = written(Request(), name)
    assert settings["Seed"] == "0"
    assert settings["Version"] == "mezzotint 0.1.0"
    assert len(settings) == 10


def test_prompts_of_several_lines_come_back() -> None:
    text = infotext(Request("a cat\non the moon", "rain,\nfog"), (64, 64), "emoji", "0" * 64, "0.1.0")
    assert read(text)[:2] == ("a cat\non the moon", "rain,\nfog")


def strength_begins_at(strength: str, steps: int) -> int:
    """The first step there: `setup_img2img_steps` of its modules/sd_samplers_common.py."""
    return steps - int(min(float(strength), 0.999) * steps) - 1


@given(st.integers(1, 500), st.data())
def test_the_denoising_strength_begins_at_our_step(steps: int, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, steps - 1))
    settings = written(Request(steps=steps, begin=begin, init="0" * 64, guidance="none"))
    assert strength_begins_at(settings["Denoising strength"], steps) == begin


def test_loras_and_words_are_named_as_that_tool_does() -> None:
    request = Request("a cat", lora=f"0.8*{'a' * 64}", words=f"<toy>={'b' * 64}")
    hashes = {"Lora hashes": f"{'a' * 10}: 0123456789ab"}
    prompt, _, settings = read(infotext(request, (64, 64), "emoji", "0" * 64, "0.1.0", hashes))
    assert prompt == f"a cat <lora:{'a' * 10}:0.8>"
    assert settings["Lora hashes"] == f"{'a' * 10}: 0123456789ab"
    assert settings["TI hashes"] == f"<toy>: {'b' * 12}"


@pytest.mark.parametrize("guidance", ["cfg(4, stop=0.8)", "cfg(4) + color('red', 50)"])
def test_guidance_that_tool_lacks_is_said(guidance: str) -> None:
    assert written(Request(guidance=guidance))["Guidance"] == str(Request(guidance=guidance).guidance)
    assert "Guidance" not in written(Request(guidance="cfg(4)"))
