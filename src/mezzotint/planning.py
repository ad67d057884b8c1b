"""A Plan: what a Request compiles to, a table with a row for each denoiser call. Pure data in float64."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import RequestError
from mezzotint.request import Request
from mezzotint.samplers import CLIPPED, SAMPLERS, Run
from mezzotint.schedule import Floats, Schedule


@dataclass(frozen=True, eq=False)
class Plan:
    """S denoiser calls on K slots. Call s, with o the network's output and z fresh noise:

    o = network(input_scale[s]*slots[0], timestep[s]);  x0 = x_coef[s]*slots[0] + out_coef[s]*o
    slots' = update[s] @ [slots; x0_guided; x0_raw], plus noise_std[s]*z on slot 0, drawn only where it is > 0

    x0_raw is x0 after classifier-free guidance, x0_guided is also steered and clipped. Slot 0 ends as the
    picture.
    """

    timestep: Floats  # (S,) what the network is told; may be fractional
    alpha: Floats  # (S,) slot 0 = alpha*x0 + sigma*eps
    sigma: Floats  # (S,)
    input_scale: Floats  # (S,)
    x_coef: Floats  # (S,)
    out_coef: Floats  # (S,)
    update: Floats  # (S, K, K+2)
    noise_std: Floats  # (S,)
    cfg: Floats  # (S,) guidance scale; where it is 1 the row without the prompt is not computed
    step: NDArray[np.intp]  # (S,) the asked step that this call belongs to
    init: float  # slot 0 starts as init*z, the other slots as 0
    clip: float | None  # x0_guided is clipped to [-clip, clip]

    def __post_init__(self) -> None:
        for field in fields(self):
            if isinstance(column := getattr(self, field.name), np.ndarray):
                column.setflags(write=False)

    @property
    def evaluations(self) -> int:
        """S, the number of denoiser calls."""
        return len(self.timestep)

    @property
    def slots(self) -> int:
        """K, the number of latents that a picture in flight holds."""
        return int(self.update.shape[1])

    @property
    def rows(self) -> int:
        """Rows that pass through the network in all: two in a call with guidance, one in a call without."""
        return int(np.where(self.cfg != 1, 2, 1).sum())


class Scheduled(Protocol):
    """What has a schedule: a model."""

    @property
    def schedule(self) -> Schedule:
        """What it was trained with."""


def plan(request: Request, model: Scheduled | Schedule, begin: int = 0) -> Plan:
    """Compile a request for a model. RequestError where `begin`, the steps to skip, leaves none, and where
    the sampler has no finite numbers for the model's schedule.

    A run that begins in the middle starts from a picture: slot 0 is then alpha[0]*picture + init*z.
    """
    if not 0 <= begin < request.steps:
        raise RequestError(f"begin must be from 0 to {request.steps - 1}, the last step, got {begin}")
    schedule = model if isinstance(model, Schedule) else model.schedule
    sampler = SAMPLERS[request.sampler]
    run = Run(schedule, request.steps, request.spacing, request.eta, request.compat == "diffusers", begin)
    levels = sampler.levels(run)
    table = sampler.fill(levels, run)
    alpha, sigma, scale = (c[table.level, 0] for c in (levels.alpha, levels.sigma, levels.input_scale))
    x_coef, out_coef = _x0_from_output(schedule, alpha, sigma, scale)
    compiled = Plan(
        timestep=levels.t[table.level],
        alpha=alpha,
        sigma=sigma,
        input_scale=scale,
        x_coef=x_coef,
        out_coef=out_coef,
        update=table.update,
        noise_std=table.noise_std,
        cfg=_scales(request)[table.step + begin],
        step=table.step + begin,
        init=float(sigma[0]) if begin else levels.init,
        clip=schedule.clip_sample if request.sampler in CLIPPED else None,
    )
    if not all(np.isfinite(column).all() for column in vars(compiled).values() if column is not None):
        which = f"{request.sampler} in {request.steps} steps"
        raise RequestError(f"{which} has no finite plan on this model's schedule; take another sampler")
    return compiled


def _x0_from_output(schedule: Schedule, alpha: Floats, sigma: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """The two numbers a call that turn slot 0 and the network's output into x0."""
    match schedule.prediction:
        case "epsilon":
            alpha = np.where(alpha == 0, 2.0**-12, alpha)  # noise alone says nothing of x0
            return 1 / alpha, -sigma / alpha
        case "v_prediction":  # alpha*x - sigma*v in vp coordinates (Salimans & Ho 2022, 2202.00512)
            return alpha * scale**2, -sigma * scale
        case "sample":
            return np.zeros_like(alpha), np.ones_like(alpha)
        case "flow":  # x = (1 - sigma)*x0 + sigma*eps, and the network gives eps - x0
            return np.ones_like(alpha), -sigma


def _scales(request: Request) -> Floats:
    """(steps,) guidance scales. Stock pipelines switch guidance off at 1 and below; the formula does not."""
    scales = request.terms.scales(request.steps)
    return np.where(scales <= 1, 1.0, scales) if request.compat == "diffusers" else scales
