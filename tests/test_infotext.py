"""The settings line, as AUTOMATIC1111 writes it and reads it back."""

from __future__ import annotations

import contextlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.infotext import SAMPLER_NAMES, SCHEDULE_NAMES, infotext
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
    assert set(SAMPLER_NAMES) == set(SAMPLERS)
    assert set(SCHEDULE_NAMES) == {None, *SPACINGS}
    assert len(set(SAMPLER_NAMES.values())) == len(SAMPLERS)


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
        "Eta DDIM": "0.5",
        "Version": "mezzotint 0.1.0",
    }


@given(st.text(st.characters(codec="ascii", min_codepoint=32), min_size=1).filter(str.strip))
def test_a_model_s_name_cannot_forge_a_setting(name: str) -> None:
    settings = written(Request(), name)
    assert settings["Seed"] == "0"
    assert settings["Version"] == "mezzotint 0.1.0"
    assert len(settings) == 9


def test_prompts_of_several_lines_come_back() -> None:
    text = infotext(Request("a cat\non the moon", "rain,\nfog"), (64, 64), "emoji", "0" * 64, "0.1.0")
    assert read(text)[:2] == ("a cat\non the moon", "rain,\nfog")
