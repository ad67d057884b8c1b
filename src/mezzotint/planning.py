"""A Plan: what a Request compiles to, a table with a row for each denoiser call. Pure data in float64."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import RequestError
from mezzotint.guidance import Guidance, Steer
from mezzotint.request import Request
from mezzotint.samplers import SAMPLERS, SamplerRun
from mezzotint.schedule import Floats, Schedule
from mezzotint.scheduler_config import unsupported_settings

LEAST_ALPHA = 2.0**-12  # in place of 0: noise alone says nothing of x0


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
    cfg: Floats  # (S,) classifier-free guidance scale
    adaptive: Floats  # (S,) the cosine of the two predictions above which guidance ends for good; 0: never
    mix: Floats  # (S, M) weight of each further prompt
    steer: Floats  # (S, T) force of each gradient term, see `_forces`; 0 where it does not act
    needs_uncond: NDArray[
        np.bool_
    ]  # (S,) whether the row without the prompt is computed: its weight is not 0
    reads: NDArray[np.intp]  # (S,) rows of the network call
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
        return int(self.reads.sum())


class Scheduled(Protocol):
    """What has a schedule: a model."""

    @property
    def schedule(self) -> Schedule:
        """What it was trained with."""


def plan(request: Request, model: Scheduled | Schedule) -> Plan:
    """Compile a request for a model. RequestError where the sampler has no finite numbers for its schedule.

    A run that begins in the middle starts from a picture: slot 0 is then alpha[0]*picture + init*z.
    """
    begin = request.begin
    schedule = model if isinstance(model, Schedule) else model.schedule
    sampler = SAMPLERS[request.sampler]
    if request.compat == "diffusers" and (left := unsupported_settings(schedule.config, request.sampler)):
        raise RequestError(
            f'compat="diffusers": the model\'s scheduler asks for {", ".join(left)}, which {request.sampler} here '
            "does not follow; take another sampler, or leave compat out"
        )
    run = SamplerRun(
        schedule, request.steps, request.spacing, request.eta, request.compat == "diffusers", begin
    )
    levels = sampler.levels(run)
    table = sampler.fill(levels, run)
    alpha, sigma, scale = (c[table.level, 0] for c in (levels.alpha, levels.sigma, levels.input_scale))
    x_coef, out_coef = _x0_from_output(schedule, alpha, sigma, scale)
    step = table.step + begin
    cfg, mix = _scales(request)[step], _mixes(request)[step]
    without = 1 - cfg - mix.sum(1) != 0
    compiled = Plan(
        timestep=levels.t[table.level],
        alpha=alpha,
        sigma=sigma,
        input_scale=scale,
        x_coef=x_coef,
        out_coef=out_coef,
        update=table.update,
        noise_std=table.noise_std,
        cfg=cfg,
        adaptive=request.terms.adaptive(request.steps)[step],
        mix=mix,
        steer=_forces(request, schedule, alpha, sigma, step),
        needs_uncond=without,
        reads=1 + without + (mix != 0).sum(1),
        step=step,
        init=float(sigma[0]) if begin else levels.init,
        # diffusers clips in some samplers only; without it, few steps of the others leave a pixel model's range
        clip=schedule.clip_sample if sampler.clips_x0 or not request.compat else None,
    )
    if not all(np.isfinite(column).all() for column in vars(compiled).values() if column is not None):
        which = f"{request.sampler} in {request.steps} steps"
        raise RequestError(f"{which} has no finite plan on this model's schedule; take another sampler")
    _check_noise(request, compiled)
    return compiled


def without_prompt(request: Request) -> Request:
    """The request as a model without text reads it: classifier-free guidance has nothing to guide."""
    return replace(request, guidance=Guidance(request.terms.steers))


def _x0_from_output(schedule: Schedule, alpha: Floats, sigma: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """The two numbers a call that turn slot 0 and the network's output into x0."""
    match schedule.prediction:
        case "epsilon":
            alpha = np.where(alpha == 0, LEAST_ALPHA, alpha)
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


def _mixes(request: Request) -> Floats:
    """(steps, M) weights of the further prompts."""
    weights = np.zeros((request.steps, len(request.terms.mixes)))
    for column, term in enumerate(request.terms.mixes):
        weights[term.acts(request.steps), column] = term.weight
    return weights


def _forces(
    request: Request, schedule: Schedule, alpha: Floats, sigma: Floats, step: NDArray[np.intp]
) -> Floats:
    """(S, T) the force f of each gradient term. With g = -grad of its loss with respect to slot 0, or to x0:

    update "x": slot 0 += f*g, eps held; "eps": x0 += f*g; "x0": x0 += f*g, x0_raw stays; "noise": a rate. Terms that
    are given an effect have it here in place of a force. Recipes are written for variance preserving x; where
    slot 0 is c*x, its gradient is 1/c of theirs and its movement c times.
    """
    terms = request.terms.steers
    forces = np.zeros((len(step), len(terms)))
    c = np.sqrt(alpha**2 + sigma**2)
    for column, term in enumerate(terms):
        scale, effect = term.strength
        if scale is None:
            force = np.full(len(step), effect)
        else:
            force = scale * _factor(term, schedule, alpha / c, sigma / c, step)
            if term.update == "x":
                force = force * c**2
            elif term.update == "eps":
                force = force * sigma**2 / np.where(alpha == 0, LEAST_ALPHA, alpha)
        forces[:, column] = np.where(term.acts(request.steps)[step], force, 0.0)
    return forces


def _factor(term: Steer, schedule: Schedule, alpha: Floats, sigma: Floats, step: NDArray[np.intp]) -> Floats:
    """(S,) what the recipe multiplies its scale with, for variance preserving alpha and sigma."""
    match term.factor:
        case "alpha" if term.slip("counter"):  # indexed by the loop's counter, not by t
            factor = np.sqrt(schedule.alphas_cumprod[np.minimum(step, schedule.steps - 1)])
        case "alpha":
            factor = alpha
        case "sigma2":
            factor = sigma**2
        case "1":
            factor = np.ones_like(alpha)
    return factor / term.reference_batch


def _check_noise(request: Request, compiled: Plan) -> None:
    turns = any(term.update == "noise" for term in request.terms.steers)
    if turns and not (compiled.noise_std > 0).any():
        raise RequestError(
            f'update="noise" turns the noise that the sampler adds, and {request.sampler} adds none; '
            "take ddpm, euler-a, dpmpp-2m-sde, or ddim with eta"
        )
