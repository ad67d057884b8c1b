"""What a sampler is made of: the levels it walks down, by family, and the table that it fills.

A sampler writes its paper's formulas on *basis vectors*: `x` is not a picture but the row (1, 0, ..., 0), so
`x + (x - x0)/sigma * dt` is the row of the update matrix that does this to pictures. Levels are columns, so
that one line fills all steps at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mezzotint.schedule import Floats, Schedule, Spacing, karras, spaced_timesteps


@dataclass(frozen=True, eq=False)
class Levels:
    """The noise levels of N steps: step i goes from (`alpha`, `sigma`) to (`alpha_next`, `sigma_next`).

    All but `t` and `init` are columns (N, 1). Before the first step lies pure noise: alpha 0, sigma 1.
    """

    t: Floats  # (N,) what the network is told
    alpha: Floats
    sigma: Floats
    alpha_next: Floats
    sigma_next: Floats
    alpha_prev: Floats  # where step i came from
    sigma_prev: Floats
    input_scale: Floats
    init: float  # slot 0 starts as init * z

    @classmethod
    def of(
        cls, t: Floats, alpha: Floats, sigma: Floats, init: float, input_scale: float | Floats = 1.0
    ) -> Levels:
        """From N timesteps and N+1 levels, the last being the end."""
        a, s = alpha[:, None], sigma[:, None]
        return cls(
            t=t,
            alpha=a[:-1],
            sigma=s[:-1],
            alpha_next=a[1:],
            sigma_next=s[1:],
            alpha_prev=np.concatenate([[[0.0]], a[:-2]]),
            sigma_prev=np.concatenate([[[1.0]], s[:-2]]),
            input_scale=np.broadcast_to(input_scale, t.shape)[:, None],
            init=init,
        )

    def __len__(self) -> int:
        return len(self.t)

    @property
    def lam(self) -> tuple[Floats, Floats, Floats]:
        """lambda = log(alpha/sigma) of the level before, this and the next; infinite at the two ends."""
        with np.errstate(divide="ignore"):
            before = np.log(self.alpha_prev) - np.log(self.sigma_prev)
            here = np.log(self.alpha) - np.log(self.sigma)
            after = np.log(self.alpha_next) - np.log(self.sigma_next)
        return before, here, after


@dataclass(frozen=True, eq=False)
class UpdateTable:
    """A filled sampler, S denoiser calls on K slots.

    slots' = update @ [slots; x0_guided; x0_raw], plus noise_std * z on slot 0.
    """

    update: Floats  # (S, K, K+2)
    noise_std: Floats  # (S,)
    level: NDArray[np.intp]  # (S,) the level at which call s asks the network
    step: NDArray[np.intp]  # (S,) the step that call s belongs to


def basis(slots: int) -> Floats:
    """The unit rows (K+2, K+2): x in slot 0, what the sampler remembers, x0 as guided, x0 as predicted."""
    return np.eye(slots + 2)


def rows(n: int, *slots: Floats) -> Floats:
    """(n, K, K+2): the new slots, each one row for all steps or a row a step."""
    return np.stack([np.broadcast_to(slot, (n, len(slots) + 2)) for slot in slots], axis=1)


def table(n: int, *slots: Floats, noise_std: float | Floats = 0.0) -> UpdateTable:
    """The table of a sampler that calls the network once a step."""
    i = np.arange(n)
    return UpdateTable(rows(n, *slots), np.broadcast_to(noise_std, (n, 1))[:, 0], level=i, step=i)


@dataclass(frozen=True, eq=False)
class SamplerRun:
    """What a sampler may know of a request."""

    schedule: Schedule
    steps: int
    spacing: str | None = None
    eta: float = 0.0
    diffusers: bool = False  # with its slips
    begin: int = 0  # steps skipped: a run that starts from a picture begins in the middle

    def grid(self, default: Spacing, heed: bool = True) -> tuple[Spacing, bool]:
        """How timesteps are spaced, and whether Karras sigmas then replace what lies between their ends.

        `heed`: whether this family heeds a model that asks for Karras sigmas.
        """
        if self.spacing in (None, "karras"):
            wish = heed and self.schedule.karras
            return self.schedule.spacing or default, wish or self.spacing == "karras"
        return cast(Spacing, self.spacing), False

    def top(self, sigma: float) -> float:
        """The first sigma of a Karras ramp; diffusers sets no bound where no signal is left."""
        return sigma if self.diffusers else min(sigma, self.schedule.karras_top)

    def lowers_last(self, few: bool) -> bool:
        """Whether the last step, to a level with noise, has order 1. `few`: only in runs of under 15 steps."""
        config = self.schedule.config
        lowered = config.get("lower_order_final", True) and (self.steps < 15 or not few)
        return bool(lowered or (few and config.get("euler_at_final", False)))

    def timesteps(self, n: int, spacing: Spacing) -> Floats:
        """(n,) training timesteps."""
        return spaced_timesteps(
            self.schedule.steps, n, spacing, self.schedule.steps_offset, old=self.diffusers
        )

    def whole_timesteps(self, n: int, spacing: Spacing) -> Floats:
        """(n,) training timesteps in whole numbers, unless two would be the same."""
        t = self.timesteps(n, spacing)
        return t.round() if len(set(t.round())) == n else t


def euler_levels(run: SamplerRun) -> Levels:
    """k-diffusion's, down to where the model says."""
    levels = k_levels(run)
    if run.schedule.prediction != "flow" and run.schedule.ends_at_sigma_min:
        levels.sigma_next[-1] = run.schedule.table[0]
    return levels


def k_levels(run: SamplerRun, heed: bool = True) -> Levels:
    """k-diffusion's: ve coordinates, fractional timesteps, down to no noise."""
    if run.schedule.prediction == "flow":
        return flow_levels(run)
    spacing, ramp = run.grid("linspace", heed)
    t = run.timesteps(run.steps, spacing)
    s = run.schedule.s_at(t)
    if ramp:
        s = karras(run.top(s[0]), s[-1], run.steps)
        t = run.schedule.t_at(s)
    t, s = t[run.begin :], s[run.begin :]
    unit = np.hypot(s, 1)
    init = unit[0] if spacing == "leading" else s[0]
    return Levels.of(t, np.ones(len(s) + 1), np.append(s, 0.0), float(init), input_scale=1 / unit)


def ddpm_levels(run: SamplerRun) -> Levels:
    """DDPM's: vp coordinates, whole timesteps, down to no noise."""
    return _whole_levels(run, to_one=True)


def ddim_levels(run: SamplerRun) -> Levels:
    """DDIM's: the same, down to where the model says, or to no noise."""
    return _stride_levels(_whole_levels(run, run.schedule.set_alpha_to_one is not False), run)


def pndm_levels(run: SamplerRun) -> Levels:
    """PNDM's: the same, down to where the model says, or to timestep 0."""
    return _stride_levels(_whole_levels(run, run.schedule.set_alpha_to_one is True), run)


def _whole_levels(run: SamplerRun, to_one: bool) -> Levels:
    if run.schedule.prediction == "flow":
        return flow_levels(run)
    spacing, ramp = run.grid("leading", heed=False)
    t = run.whole_timesteps(run.steps, spacing)
    if ramp:
        high, low = run.schedule.s_at(t[[0, -1]])
        t = run.schedule.t_at(karras(run.top(high), low, run.steps))
    t = t[run.begin :]
    end = 1.0 if to_one else run.schedule.alphas_cumprod[0]
    return _vp(t, np.append(run.schedule.alpha2_at(t), end))


def _stride_levels(levels: Levels, run: SamplerRun) -> Levels:
    """A slip of diffusers: each step goes from t to t - T//n, whatever the next timestep is.

    With `linspace`, and with `trailing` where n does not divide T, it then asks the network at another level
    than the one it has reached.
    """
    if not run.diffusers or run.schedule.prediction == "flow" or run.spacing == "karras":
        return levels
    stride = run.schedule.steps // run.steps
    end = levels.alpha_next[-1, 0] ** 2
    after = np.where(levels.t < stride, end, run.schedule.alpha2_at(levels.t - stride))[:, None]
    before = run.schedule.alpha2_at(levels.t + stride)[:, None]
    return replace(
        levels,
        alpha_next=np.sqrt(after),
        sigma_next=np.sqrt(1 - after),
        alpha_prev=np.sqrt(before),
        sigma_prev=np.sqrt(1 - before),
    )


def dpm_levels(run: SamplerRun) -> Levels:
    """DPM-Solver's: vp coordinates, n+1 whole timesteps of which the last gives way to the end that is asked for."""
    if run.schedule.prediction == "flow":
        return flow_levels(run)
    spacing, ramp = run.grid("linspace")
    if ramp:
        high, low = run.schedule.table[[-1, 0]]
        s = karras(run.top(high), low, run.steps)
        t = run.schedule.t_at(s).round()
    else:
        t = run.whole_timesteps(run.steps if spacing == "trailing" else run.steps + 1, spacing)[: run.steps]
        s = run.schedule.s_at(t)
    end = run.schedule.alphas_cumprod[0] if run.schedule.ends_at_sigma_min else 1.0
    return _vp(t[run.begin :], np.append(1 / (1 + s**2), end)[run.begin :])


def flow_levels(run: SamplerRun) -> Levels:
    """Flow matching's: alpha = 1 - sigma, the network is told sigma*T (Esser et al. 2024, 2403.03206).

    `linspace` ends at the shifted sigma of the first training timestep, shifted again (Stable Diffusion 3).
    """
    schedule, train = run.schedule, run.schedule.steps
    spacing, ramp = run.grid("linspace")
    if spacing == "linspace":
        u = np.linspace(1, schedule.shift_sigma(np.array(1 / train)), run.steps)
    elif spacing == "trailing":
        u = 1 - np.arange(run.steps) / run.steps
    else:
        u = (run.timesteps(run.steps, spacing) + 1) / train
    sigma = np.asarray(schedule.shift_sigma(u))
    if ramp:
        sigma = karras(sigma[0], sigma[-1], run.steps)
    sigma = np.append(sigma, 0.0)[run.begin :]
    return Levels.of(sigma[:-1] * train, 1 - sigma, sigma, init=float(sigma[0]))


def _vp(t: Floats, alpha2: Floats) -> Levels:
    """From N timesteps and N+1 values of alpha^2; such runs start from noise of size 1, whatever alpha is."""
    return Levels.of(t, np.sqrt(alpha2), np.sqrt(1 - alpha2), init=1.0)
