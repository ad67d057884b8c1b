"""The text of settings that AUTOMATIC1111's web UI writes into pictures and that half the field's tools read.

Which of its schedules a run of ours walks is found by noise levels and not by names. Its formulas:
`modules/sd_schedulers.py`; DDIM and PLMS there take fixed timesteps (`modules/sd_samplers_timesteps.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from mezzotint.errors import MezzotintError
from mezzotint.expressions import parse_lora, parse_words
from mezzotint.guidance import Cfg
from mezzotint.prompt import parse
from mezzotint.request import Request
from mezzotint.samplers import SAMPLERS, SamplerRun
from mezzotint.schedule import Floats, Schedule, karras

NEAR = 0.02  # of log sigma: rounding to whole timesteps stays below it, another schedule does not
OTHERWISE = "nearest: "  # before the name of a schedule that is not the same


def a1111_schedule(request: Request, schedule: Schedule) -> str:
    """The name of the schedule with our levels; where none has them, `nearest: ` and the nearest one.

    "" where that tool has no such model (flow) or no such sampler.
    """
    known = SAMPLERS[request.sampler].a1111 and request.sampler != "ddpm"
    if schedule.prediction == "flow" or not known or schedule.alphas_cumprod[-1] == 0:
        return ""
    ours = np.log(_sigmas(request, schedule))
    candidates = (
        {"Automatic": _ddim_sigmas(schedule, request.steps)}
        if request.sampler in ("ddim", "pndm", "unipc")
        else _candidates(schedule, request.steps)
    )
    apart = {name: _distance(ours, np.log(levels)) for name, levels in candidates.items()}
    best = min(apart, key=lambda name: apart[name])
    return best if apart[best] <= NEAR else OTHERWISE + best


def scales_noise(request: Request, schedule: Schedule) -> bool:
    """Whether the first noise is sqrt(1 + sigma^2) large and not sigma: `SGM noise multiplier` there."""
    if schedule.prediction == "flow" or request.sampler in ("ddpm", "ddim", "pndm", "unipc") or request.begin:
        return False
    levels = SAMPLERS[request.sampler].levels(_run(request, schedule))
    alpha, sigma = float(levels.alpha[0, 0]), float(levels.sigma[0, 0])
    return bool(levels.init / alpha > (sigma / alpha + np.hypot(sigma / alpha, 1)) / 2)


def _sigmas(request: Request, schedule: Schedule) -> Floats:
    """(n,) sigma/alpha of all asked steps, those that a later start skips included."""
    run = _run(request, schedule)
    levels = SAMPLERS[request.sampler].levels(run)
    return np.asarray(levels.sigma[:, 0] / levels.alpha[:, 0])


def _run(request: Request, schedule: Schedule) -> SamplerRun:
    return SamplerRun(schedule, request.steps, request.spacing, request.eta, request.compat == "diffusers")


def _candidates(schedule: Schedule, n: int) -> dict[str, Floats]:
    """The schedules that a spacing of ours may be, by n levels each, without the last of no noise."""
    last = schedule.steps - 1
    high, low = schedule.table[[-1, 0]]
    return {
        "Uniform": schedule.s_at(np.linspace(last, 0, n)),
        "SGM Uniform": schedule.s_at(np.linspace(last, 0, n + 1)[:-1]),
        "Simple": schedule.table[-1 - (np.arange(n) * (schedule.steps / n)).astype(int) % schedule.steps],
        "Karras": karras(high, low, n),
        "DDIM": _ddim_sigmas(schedule, n),
    }


def _ddim_sigmas(schedule: Schedule, n: int) -> Floats:
    """Timesteps 1, 1 + T//n, ...: more than n of them where n does not divide T."""
    t = np.arange(1, schedule.steps, max(schedule.steps // n, 1))[::-1]
    return schedule.table[t]


def _distance(ours: Floats, theirs: Floats) -> float:
    """The largest difference of two ladders; infinite where their rungs are not as many."""
    return float(np.abs(ours - theirs).max()) if len(ours) == len(theirs) else np.inf


def a1111_settings(request: Request, schedule: Schedule) -> dict[str, str]:
    """Schedule type, SGM noise multiplier and Lora hashes, as far as they apply."""
    about = (request.sampler, request.steps, request.spacing, request.eta, request.compat, request.begin)
    settings = dict(_of_schedule(about, schedule))
    hashes = [f"{adapter.digest[:10]}: {_hash(adapter.digest)[:12]}" for adapter in parse_lora(request.lora)]
    return settings | ({"Lora hashes": ", ".join(hashes)} if hashes else {})


@lru_cache(maxsize=256)
def _of_schedule(
    about: tuple[str, int, str | None, float, str, int], schedule: Schedule
) -> tuple[tuple[str, str], ...]:
    """Pictures of one batch mostly differ in seed and prompt alone."""
    sampler, steps, spacing, eta, compat, begin = about
    plain = Request(
        sampler=sampler,
        steps=steps,
        spacing=spacing,
        eta=eta,
        compat="diffusers" if compat else "",
        init="0" * 64 if begin else "",
        begin=begin,
        guidance="none",
    )
    found = {"Schedule type": a1111_schedule(plain, schedule)}
    if scales_noise(plain, schedule):
        found["SGM noise multiplier"] = "True"
    return tuple((key, value) for key, value in found.items() if value)


@lru_cache(maxsize=64)
def _hash(digest: str) -> str:
    """That tool's hash; our digest where the file is not, or no longer, kept."""
    try:
        from mezzotint.models.lora.files import a1111_hash, kept_lora

        return a1111_hash(kept_lora(digest))
    except (MezzotintError, OSError):
        return digest


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

    `settings` are those that hang on the model's schedule and on files (`a1111_settings`). A prompt line that begins
    with `Negative prompt:` is misread by every reader of this format, the original included.
    """
    scales = [term.scale for term in request.terms.terms if isinstance(term, Cfg)]
    known = settings or {}
    schedule = known.get("Schedule type", SCHEDULE_NAMES.get(request.spacing, request.spacing) or "")
    apart = schedule.startswith(OTHERWISE)
    adapters = parse_lora(request.lora)
    line = {
        "Steps": request.steps,
        "Sampler": SAMPLERS[request.sampler].a1111 or request.sampler,
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
        "Postprocess upscale by": request.upscale if request.upscale > 1 else None,
        "Postprocess upscaler": "Mezzotint" if request.upscale > 1 else None,
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


def to_a1111(prompt: str) -> str:
    """A prompt of ours as that tool reads it: what is plain text here is escaped, weights stay."""
    if not re.search(r"[\\()\[\]<]|\b(?:BREAK|AND)\b", prompt):
        return prompt
    return "".join(
        _escape_for_a1111(piece.text)
        if piece.weight == 1
        else f"({_escape_for_a1111(piece.text)}:{piece.weight:g})"
        for piece in parse(prompt)
    )


def _escape_for_a1111(text: str) -> str:
    """Text without meaning there. CLIP reads no capitals, and a space after `<` changes no token."""
    text = re.sub(r"\b(?:BREAK|AND)\b", lambda found: found[0].lower(), text)
    return re.sub(r"<(?=\w+:[^>]+>)", "< ", re.sub(r"([\\()\[\]])", r"\\\1", text))
