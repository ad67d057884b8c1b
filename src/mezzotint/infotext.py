"""The text of settings that AUTOMATIC1111's web UI writes into pictures and that half the field's tools read."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mezzotint.guidance import Cfg
from mezzotint.interchange import A1111_NAMES
from mezzotint.interchange.prompts import to_a1111
from mezzotint.interchange.schedules import OTHERWISE
from mezzotint.inversion import parse as parse_words
from mezzotint.lora import parse as parse_lora
from mezzotint.request import Request

SAMPLER_NAMES = A1111_NAMES
# What our spacings are called there where nobody has compared the levels: in files of before.
SCHEDULE_NAMES = {
    None: "Automatic",
    "karras": "Karras",
    "linspace": "Uniform",
    "leading": "DDIM",
    "trailing": "Simple",
}


def infotext(
    request: Request,
    size: tuple[int, int],
    model: str,
    digest: str,
    version: str,
    settings: Mapping[str, str] | None = None,
) -> str:
    """Prompt, negative prompt if there is one, and a line of settings, for a user of that tool. `size`: in pixels.

    `settings` are those that hang on the model's schedule and on files (`engine.a1111`). A prompt line that begins
    with `Negative prompt:` is misread by every reader of this format, the original included.
    """
    scales = [term.scale for term in request.terms.terms if isinstance(term, Cfg)]
    known = settings or {}
    schedule = known.get("Schedule type", SCHEDULE_NAMES.get(request.spacing, request.spacing) or "")
    apart = schedule.startswith(OTHERWISE)
    adapters = parse_lora(request.lora)
    line = {
        "Steps": request.steps,
        "Sampler": SAMPLER_NAMES[request.sampler],
        "Schedule type": schedule.removeprefix(OTHERWISE),
        "CFG scale": _number(scales[0] if scales else 1.0),
        "Seed": request.seed,
        "Size": f"{size[0]}x{size[1]}",
        "Model hash": digest[:10],
        "Model": model,
        "Denoising strength": _strength(request) if request.init else None,
        "RNG": "CPU",
        "Eta DDIM": _number(request.eta) if request.eta else None,
        "SGM noise multiplier": known.get("SGM noise multiplier"),
        "Lora hashes": known.get("Lora hashes"),
        "TI hashes": ", ".join(f"{word.name}: {word.digest[:12]}" for word in parse_words(request.words))
        or None,
        "Spacing": (request.spacing or "of the model") if apart else None,
        "Guidance": str(request.guidance) if not _is_plain(request) else None,
        "Version": f"mezzotint {version}",
    }
    written = ", ".join(f"{key}: {_quote(value)}" for key, value in line.items() if value is not None)
    loras = "".join(f" <lora:{adapter.digest[:10]}:{_number(adapter.weight)}>" for adapter in adapters)
    negative = f"\nNegative prompt: {to_a1111(request.negative_prompt)}" if request.negative_prompt else ""
    return f"{to_a1111(request.prompt)}{loras}{negative}\n{written}".strip()


def _strength(request: Request) -> str:
    """The shortest number with which that tool begins at our step: it skips n - int(s*n) - 1 of n steps."""
    n, left = request.steps, request.steps - request.begin - 1
    for digits in range(1, 7):
        text = f"{(left + 0.5) / n:.{digits}f}"
        if int(min(float(text), 0.999) * n) == left:
            break
    return text


def _is_plain(request: Request) -> bool:
    """Whether guidance is what that tool has: one scale, for the whole run."""
    terms = request.terms.terms
    return all(isinstance(term, Cfg) and term == Cfg(term.scale) for term in terms) and len(terms) < 2


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


def _quote(value: object) -> str:
    """As JSON where a bare value would end the setting early."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if set(",:\n") & set(text) else text
