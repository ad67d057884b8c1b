"""The line of text that AUTOMATIC1111's web UI writes into pictures and that half the field's tools read."""

from __future__ import annotations

import json

from mezzotint.guidance import Cfg
from mezzotint.request import Request

# Names as that tool spells them (modules/sd_samplers_*.py, modules/sd_schedulers.py); it has no classic DDPM.
SAMPLER_NAMES = {
    "ddpm": "DDPM",
    "ddim": "DDIM",
    "euler": "Euler",
    "euler-a": "Euler a",
    "heun": "Heun",
    "lms": "LMS",
    "pndm": "PLMS",
    "dpmpp-2m": "DPM++ 2M",
    "dpmpp-2m-sde": "DPM++ 2M SDE",
    "unipc": "UniPC",
}
SCHEDULE_NAMES = {
    None: "Automatic",
    "karras": "Karras",
    "linspace": "Uniform",
    "leading": "DDIM",
    "trailing": "Simple",
}


def infotext(request: Request, size: tuple[int, int], model: str, digest: str, version: str) -> str:
    """Prompt, negative prompt if there is one, and a line of settings. `size`: width, height in pixels.

    A prompt line that begins with `Negative prompt:` is misread by every reader of this format, the original
    included.
    """
    scales = [term.scale for term in request.terms.terms if isinstance(term, Cfg)]
    settings = {
        "Steps": request.steps,
        "Sampler": SAMPLER_NAMES.get(request.sampler, request.sampler),
        "Schedule type": SCHEDULE_NAMES.get(request.spacing, request.spacing),
        "CFG scale": _number(scales[0] if scales else 1.0),
        "Seed": request.seed,
        "Size": f"{size[0]}x{size[1]}",
        "Model hash": digest[:10],
        "Model": model,
        "Eta DDIM": _number(request.eta) if request.eta else None,
        "Version": f"mezzotint {version}",
    }
    line = ", ".join(f"{key}: {_quoted(value)}" for key, value in settings.items() if value is not None)
    negative = f"\nNegative prompt: {request.negative_prompt}" if request.negative_prompt else ""
    return f"{request.prompt}{negative}\n{line}".strip()


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


def _quoted(value: object) -> str:
    """As JSON where a bare value would end the setting early."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if set(",:\n") & set(text) else text
