"""The samplers, each one record. Another package adds one by the entry point `mezzotint.samplers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from mezzotint.plugins import PluginTable
from mezzotint.samplers.levels import (
    Levels,
    SamplerRun,
    UpdateTable,
    basis,
    ddim_levels,
    ddpm_levels,
    dpm_levels,
    euler_levels,
    k_levels,
    pndm_levels,
    rows,
    table,
)
from mezzotint.samplers.solvers import ancestral, ddim, dpmpp_2m, dpmpp_2m_sde, euler, heun, lms, pndm, unipc

__all__ = [
    "SAMPLERS",
    "Levels",
    "Sampler",
    "SamplerRun",
    "UpdateTable",
    "basis",
    "ddim_levels",
    "ddpm_levels",
    "dpm_levels",
    "k_levels",
    "rows",
    "table",
]


class Sampler(NamedTuple):
    """All that is to be known of a sampler."""

    levels: Callable[[SamplerRun], Levels]
    """The noise levels that it walks down."""
    fill: Callable[[Levels, SamplerRun], UpdateTable]
    """The updates of a run on these levels."""
    family: Literal["k", "dpm", "vp"]
    """Whose levels it takes: of k-diffusion, of DPM-Solver, or whole timesteps in vp coordinates."""
    diffusers: tuple[str, Mapping[str, Any]] | None = None
    """What makes the same pictures in diffusers: `Class.from_config(pipe.scheduler.config, **extra)`."""
    a1111: str = ""
    """Its name in A1111's web UI; "" where that has no such sampler."""
    clips_x0: bool = False
    """Whether it clips x0 in diffusers where the model asks for it."""
    order: int = 1
    """Of convergence."""
    noise: Literal["none", "every step", "--eta"] = "none"
    """When it adds fresh noise."""
    about: str = ""
    """One line for who chooses."""


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


SAMPLERS: PluginTable[Sampler] = PluginTable(
    "mezzotint.samplers",
    Sampler,
    {
        "ddpm": Sampler(
            levels=ddpm_levels,
            fill=_ddpm,
            family="vp",
            diffusers=("DDPMScheduler", {}),
            a1111="DDPM",  # it has none; other readers of its text know the name
            clips_x0=True,
            noise="every step",
            about="the process the model was trained on; wants hundreds of steps",
        ),
        "ddim": Sampler(
            levels=ddim_levels,
            fill=lambda levels, run: ddim(levels, run.eta),
            family="vp",
            diffusers=("DDIMScheduler", {}),
            a1111="DDIM",
            clips_x0=True,
            noise="--eta",
            about="straight steps; --eta 1 is ddpm, with any number of steps",
        ),
        "euler": Sampler(
            levels=euler_levels,
            fill=lambda levels, _: euler(levels),
            family="k",
            diffusers=("EulerDiscreteScheduler", {}),
            a1111="Euler",
            about="the plain baseline, in sigma",
        ),
        "euler-a": Sampler(
            levels=lambda run: k_levels(run, heed=False),
            fill=lambda levels, _: ancestral(levels),
            family="k",
            diffusers=("EulerAncestralDiscreteScheduler", {}),
            a1111="Euler a",
            noise="every step",
            about="Euler with fresh noise; lively, never settles",
        ),
        "heun": Sampler(
            levels=k_levels,
            fill=lambda levels, _: heun(levels),
            family="k",
            diffusers=("HeunDiscreteScheduler", {}),
            a1111="Heun",
            clips_x0=True,
            order=2,
            about="corrects every step with a second call",
        ),
        "lms": Sampler(
            levels=k_levels,
            fill=_lms,
            family="k",
            diffusers=("LMSDiscreteScheduler", {}),
            a1111="LMS",
            order=2,
            about="remembers four derivatives",
        ),
        "pndm": Sampler(
            levels=_pndm_levels,
            fill=_pndm,
            family="vp",
            diffusers=("PNDMScheduler", {"skip_prk_steps": True}),
            a1111="PLMS",
            order=2,
            about="PLMS, the first default of Stable Diffusion",
        ),
        "dpmpp-2m": Sampler(
            levels=dpm_levels,
            fill=lambda levels, run: dpmpp_2m(levels, run.lowers_last(few=True)),
            family="dpm",
            diffusers=("DPMSolverMultistepScheduler", {}),
            a1111="DPM++ 2M",
            order=2,
            about="the default: good from 12 steps, hard to beat at 25",
        ),
        "dpmpp-2m-sde": Sampler(
            levels=dpm_levels,
            fill=lambda levels, run: dpmpp_2m_sde(levels, run.lowers_last(few=True)),
            family="dpm",
            diffusers=("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
            a1111="DPM++ 2M SDE",
            noise="every step",
            about="the same with fresh noise; rich texture, more steps",
        ),
        "unipc": Sampler(
            levels=dpm_levels,
            fill=lambda levels, run: unipc(levels, run.lowers_last(few=False)),
            family="dpm",
            diffusers=("UniPCMultistepScheduler", {}),
            a1111="UniPC",
            order=2,
            about="corrects for free; strong at 8 to 12 steps",
        ),
    },
)
