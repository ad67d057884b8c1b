"""Settings for a user of A1111 that hang on the model's schedule and on files, gathered while both are at hand."""

from __future__ import annotations

from functools import lru_cache

from mezzotint.errors import MezzotintError
from mezzotint.interchange.schedules import a1111_schedule, scales_noise
from mezzotint.lora import parse
from mezzotint.models.lora.files import kept_lora
from mezzotint.models.lora.hashes import a1111_hash
from mezzotint.request import Request
from mezzotint.schedule import Schedule


def a1111_settings(request: Request, schedule: Schedule) -> dict[str, str]:
    """Schedule type, SGM noise multiplier and Lora hashes, as far as they apply."""
    about = (request.sampler, request.steps, request.spacing, request.eta, request.compat, request.begin)
    settings = dict(_of_schedule(about, schedule))
    hashes = [f"{adapter.digest[:10]}: {_hash(adapter.digest)[:12]}" for adapter in parse(request.lora)]
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
        return a1111_hash(kept_lora(digest))
    except (MezzotintError, OSError):
        return digest
