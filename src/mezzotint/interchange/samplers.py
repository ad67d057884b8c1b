"""One table of what other tools call our samplers and spacings: A1111, ComfyUI, diffusers, InvokeAI, NovelAI.

Facts: A1111's `modules/sd_samplers_*.py` and `modules/sd_schedulers.py`, ComfyUI's `comfy/samplers.py`, InvokeAI's
list of schedulers and diffusers' class names.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mezzotint.samplers import SAMPLERS

# Further spellings, as `_key` writes them.
_ALIASES = {
    "eulerancestral": "euler-a",
    "eulera": "euler-a",
    "dpmpp2msdegpu": "dpmpp-2m-sde",
    "dpmsolvermultistep": "dpmpp-2m",
    "dpmsolverpp": "dpmpp-2m",
    "plms": "pndm",
    "unipcbh2": "unipc",
    "eulerdiscrete": "euler",
    "flowmatcheulerdiscrete": "euler",
    "ddimcfgpp": "ddim",
}
# What we have not, and the sampler of ours that comes nearest.
_NEAREST = {
    "dpm2": "heun",
    "dpm2a": "euler-a",
    "dpm2ancestral": "euler-a",
    "dpmpp2s": "dpmpp-2m",
    "dpmpp2sa": "euler-a",
    "dpmpp2sancestral": "euler-a",
    "dpmppsde": "dpmpp-2m-sde",
    "dpmppsdegpu": "dpmpp-2m-sde",
    "dpmpp2mheun": "dpmpp-2m",
    "dpmpp2msdeheun": "dpmpp-2m-sde",
    "dpmpp3msde": "dpmpp-2m-sde",
    "dpmpp3msdegpu": "dpmpp-2m-sde",
    "dpmpp3m": "dpmpp-2m",
    "dpmfast": "dpmpp-2m",
    "dpmadaptive": "dpmpp-2m",
    "dpmsolversinglestep": "dpmpp-2m",
    "deis": "dpmpp-2m",
    "deismultistep": "dpmpp-2m",
    "resmultistep": "dpmpp-2m",
    "ipndm": "pndm",
    "ipndmv": "pndm",
    "heunpp2": "heun",
    "restart": "heun",
    "kdpm2": "heun",
    "kdpm2discrete": "heun",
    "kdpm2ancestral": "euler-a",
    "kdpm2ancestraldiscrete": "euler-a",
    "eulercfgpp": "euler",
    "eulerancestralcfgpp": "euler-a",
    "ddimv3": "ddim",
}
# Schedules that old names of samplers have joined to them: "DPM++ 2M Karras", "dpmpp_2m_k".
_JOINED = {"karras": "karras", "exponential": "exponential", "sgmuniform": "sgm_uniform"}
# Where the name of a schedule leads: the spacing, and the families of samplers for which it is the same levels.
_SPACINGS = {
    "uniform": ("linspace", "k"),
    "normal": ("linspace", "k"),
    "sgmuniform": ("linspace", "dpm"),
    "simple": ("trailing", "k dpm"),
    "ddim": ("leading", "k vp"),
    "ddimuniform": ("leading", "k vp"),
    "karras": ("karras", "k dpm"),
    "linspace": ("linspace", "k dpm vp"),  # diffusers' own words
    "leading": ("leading", "k dpm vp"),
    "trailing": ("trailing", "k dpm vp"),
}
_NEAREST_SPACINGS = {
    "exponential": "karras",
    "polyexponential": "karras",
    "karrasexponential": "karras",
    "alignyoursteps": "karras",
    "aysgits": "karras",
    "ays": "karras",
    "gits": "karras",
    "kloptimal": "karras",
    "beta": "trailing",
    "linearquadratic": "linspace",
    "turbo": "trailing",
    "native": "linspace",
}


class SamplerMatch(NamedTuple):
    """A sampler of ours for the name of another tool; `schedule` is what an old joined name says, or ""."""

    sampler: str
    exact: bool
    schedule: str = ""


class SpacingMatch(NamedTuple):
    """A spacing of ours for another tool's schedule; None leaves it to the model."""

    spacing: str | None
    exact: bool


def find_sampler(name: str) -> SamplerMatch | None:
    """The sampler that another tool calls so; None where nothing here comes near. Spelling is forgiven.

    >>> find_sampler("DPM++ 2M Karras")
    SamplerMatch(sampler='dpmpp-2m', exact=True, schedule='karras')
    """
    name = re.sub(r"^(sample_|k_)", "", name.strip()[:100].lower())
    name, joined = re.subn(r"(?<=[a-z0-9])_ka?$", "", name)  # InvokeAI's Karras, and A1111's
    key = _key(name)
    schedule = "karras" if joined else ""
    for ending, said in _JOINED.items():
        if key.endswith(ending) and key != ending:
            key, schedule = key.removesuffix(ending), said
    for tried in (key, key.removesuffix("scheduler"), key.removesuffix("scheduler").removesuffix("discrete")):
        if tried in _EXACT:
            return SamplerMatch(_EXACT[tried], True, schedule)
        if tried in _NEAREST:
            return SamplerMatch(_NEAREST[tried], False, schedule)
    return None


def find_spacing(schedule: str, sampler: str) -> SpacingMatch:
    """The spacing whose levels are those of another tool's schedule under our sampler, else the nearest one."""
    key = _key(schedule)
    family = SAMPLERS[sampler].family
    if key in ("sgmuniform", "sgm") and family == "k":
        return SpacingMatch("trailing", False)
    if key in _SPACINGS:
        spacing, families = _SPACINGS[key]
        return SpacingMatch(spacing, family in families.split())
    return SpacingMatch(_NEAREST_SPACINGS.get(key), False)


def _key(name: str) -> str:
    """Letters and digits alone, `++` as pp."""
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("++", "pp"))


_EXACT = {
    **{_key(name): name for name in SAMPLERS},
    **{_key(sampler.a1111): name for name, sampler in SAMPLERS.items()},
    **{
        _key(sampler.diffusers[0]).removesuffix("scheduler"): name
        for name, sampler in SAMPLERS.items()
        if sampler.diffusers and "algorithm_type" not in sampler.diffusers[1]
    },
    **_ALIASES,
}
