"""The samplers. Each is a function that fills a table; adding one is a function and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from mezzotint.samplers.levels import (
    Levels,
    SamplerRun,
    UpdateTable,
    ddim_levels,
    ddpm_levels,
    dpm_levels,
    euler_levels,
    k_levels,
    pndm_levels,
)
from mezzotint.samplers.solvers import ancestral, ddim, dpmpp_2m, dpmpp_2m_sde, euler, heun, lms, pndm, unipc

__all__ = ["CLIPPED", "COUNTERPARTS", "SAMPLERS", "Levels", "Sampler", "SamplerRun", "UpdateTable"]


class Sampler(NamedTuple):
    """Where a sampler puts its levels, and how it fills its table from them."""

    levels: Callable[[SamplerRun], Levels]
    fill: Callable[[Levels, SamplerRun], UpdateTable]


def _euler_a_levels(run: SamplerRun) -> Levels:
    return k_levels(run, heed=False)


def _ddpm(levels: Levels, run: SamplerRun) -> UpdateTable:
    return ancestral(levels, large=run.schedule.variance == "fixed_large")


def _lms(levels: Levels, run: SamplerRun) -> UpdateTable:
    skipped = k_levels(replace(run, begin=0)).sigma[: run.begin]
    return lms(levels, skipped, leaps=False) if run.diffusers else lms(levels, skipped[:0])


def _pndm_levels(run: SamplerRun) -> Levels:
    return pndm_levels(replace(run, begin=run.begin - 1) if _late(run) > 1 else run)


def _pndm(levels: Levels, run: SamplerRun) -> UpdateTable:
    if run.schedule.prediction == "flow":
        return pndm(levels, "flow")
    slip = run.diffusers and run.schedule.prediction == "v_prediction"
    return pndm(levels, "v" if slip else "eps", _late(run))


def _late(run: SamplerRun) -> int:
    """The calls that diffusers' image-to-image skips of pndm, where it has such a run."""
    return run.begin if run.diffusers and run.schedule.prediction != "flow" and run.spacing != "karras" else 0


SAMPLERS: dict[str, Sampler] = {
    "ddpm": Sampler(ddpm_levels, _ddpm),
    "ddim": Sampler(ddim_levels, lambda levels, run: ddim(levels, run.eta)),
    "euler": Sampler(euler_levels, lambda levels, _: euler(levels)),
    "euler-a": Sampler(_euler_a_levels, lambda levels, _: ancestral(levels)),
    "heun": Sampler(k_levels, lambda levels, _: heun(levels)),
    "lms": Sampler(k_levels, _lms),
    "pndm": Sampler(_pndm_levels, _pndm),
    "dpmpp-2m": Sampler(dpm_levels, lambda levels, run: dpmpp_2m(levels, run.lowers_last(few=True))),
    "dpmpp-2m-sde": Sampler(dpm_levels, lambda levels, run: dpmpp_2m_sde(levels, run.lowers_last(few=True))),
    "unipc": Sampler(dpm_levels, lambda levels, run: unipc(levels, run.lowers_last(few=False))),
}

# Those that clip x0 in diffusers where the model asks for it.
CLIPPED = frozenset({"ddpm", "ddim", "heun"})

# What makes the same pictures in diffusers: `Class.from_config(pipe.scheduler.config, **extra)`.
COUNTERPARTS: dict[str, tuple[str, dict[str, object]]] = {
    "ddpm": ("DDPMScheduler", {}),
    "ddim": ("DDIMScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "lms": ("LMSDiscreteScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "dpmpp-2m": ("DPMSolverMultistepScheduler", {}),
    "dpmpp-2m-sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "unipc": ("UniPCMultistepScheduler", {}),
}
