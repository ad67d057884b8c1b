"""Which of A1111's schedules a run of ours walks, found by its noise levels and not by names.

Its formulas: `modules/sd_schedulers.py`; DDIM and PLMS there take fixed timesteps (`modules/sd_samplers_timesteps.py`).
"""

from __future__ import annotations

import numpy as np

from mezzotint.request import Request
from mezzotint.samplers import SAMPLERS, SamplerRun
from mezzotint.schedule import Floats, Schedule, karras

NEAR = 0.02  # of log sigma: rounding to whole timesteps stays below it, another schedule does not
OTHERWISE = "nearest: "  # before the name of a schedule that is not the same


def a1111_schedule(request: Request, schedule: Schedule) -> str:
    """The name of the schedule with our levels; where none has them, `nearest: ` and the nearest one.

    "" where that tool has no such model (flow) or no such sampler.
    """
    if schedule.prediction == "flow" or request.sampler == "ddpm" or schedule.alphas_cumprod[-1] == 0:
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
