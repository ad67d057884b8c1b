"""Noise schedules: what a network was trained with, and where along it a run asks.

A picture at training time t is `x = alpha*x0 + sigma*eps`. Two coordinates are in use: variance preserving
(vp, alpha^2 + sigma^2 = 1) and exploding (ve, alpha = 1); `s = sigma/alpha` is the same number in both. Flow
models have alpha = 1 - sigma.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ModelError, nearest
from mezzotint.scheduler_config import CLIPS, DEFAULTS, check, class_of

Floats = NDArray[np.float64]
Spacing = Literal["leading", "trailing", "linspace", "karras"]
Prediction = Literal["epsilon", "v_prediction", "sample", "flow"]
SPACINGS: tuple[str, ...] = get_args(Spacing)
PREDICTIONS = ("epsilon", "v_prediction", "sample")  # flow models say so in other ways


@dataclass(frozen=True, eq=False)
class Schedule:
    """What the model was trained with. `spacing` None: the model names none, each sampler takes its own."""

    alphas_cumprod: Floats  # (T,): alpha^2 at each training timestep
    prediction: Prediction = "epsilon"
    steps_offset: int = 0
    set_alpha_to_one: bool | None = None  # ddim and pndm end at no noise, not at timestep 0; None: ddim does
    spacing: Spacing | None = None
    karras: bool = False  # Karras sigmas between the ends that `spacing` gives
    clip_sample: float | None = None  # pixel models: x0 is clipped to [-c, c]
    variance: Literal["fixed_small", "fixed_large"] = "fixed_small"  # of DDPM's noise
    shift: float = 1.0  # flow only
    ends_at_sigma_min: bool = False  # euler, DPM-Solver++ and UniPC stop at timestep 0, not at no noise
    config: Mapping[str, Any] = field(default_factory=dict)  # as the file says it

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Schedule:
        """From a diffusers `scheduler_config.json`. ModelError where it asks for what Mezzotint cannot do."""
        try:
            return cls._read(config)
        except (TypeError, ValueError, OverflowError) as error:
            raise ModelError(f"the scheduler's configuration is damaged: {error}") from None

    @classmethod
    def _read(cls, c: Mapping[str, Any]) -> Schedule:
        check(c)
        name = class_of(c)
        c = {**DEFAULTS.get(name, {}), **c}
        flow = name.startswith("FlowMatch") or c.get("prediction_type") == "flow_prediction"
        shift = _between(c, "shift", c.get("flow_shift", 1.0), 0.01, 100.0) if flow else 1.0
        alphas_cumprod = _flow_table(c, shift) if flow else _table(c)
        if c.get("use_flow_sigmas") and not flow:
            raise ModelError(
                "the scheduler's use_flow_sigmas is True; its prediction_type should be flow_prediction"
            )
        pixels = c.get("clip_sample", name in CLIPS)
        return cls(
            alphas_cumprod=alphas_cumprod,
            prediction="flow" if flow else _one_of(c, "prediction_type", "epsilon", PREDICTIONS),
            steps_offset=int(_between(c, "steps_offset", 0, 0, len(alphas_cumprod) - 2)),
            set_alpha_to_one=_one_of(c, "set_alpha_to_one", None, (True, False, None)),
            spacing=_one_of(c, "timestep_spacing", None, (*SPACINGS[:3], None)),
            karras=bool(c.get("use_karras_sigmas", False)),
            clip_sample=_between(c, "clip_sample_range", 1.0, 0.01, 1e6) if pixels else None,
            variance=c.get("variance_type") or "fixed_small",
            shift=shift,
            ends_at_sigma_min=_one_of(c, "final_sigmas_type", "zero", ("zero", "sigma_min")) == "sigma_min",
            config=c,
        )

    @property
    def steps(self) -> int:
        """T, the number of training timesteps."""
        return len(self.alphas_cumprod)

    @cached_property
    def table(self) -> Floats:
        """(T,) `s = sigma/alpha` at each training timestep of a vp model; 4096 where no signal is left."""
        alpha2 = np.where(self.alphas_cumprod == 0, 2.0**-24, self.alphas_cumprod)
        return np.sqrt((1 - alpha2) / alpha2)

    def s_at(self, t: Floats) -> Floats:
        """s at (fractional) training timesteps, linear in s between them."""
        return np.interp(t, np.arange(self.steps), self.table)

    def alpha2_at(self, t: Floats) -> Floats:
        """alpha^2 at (fractional) training timesteps, linear in alpha^2 between them."""
        return np.interp(t, np.arange(self.steps), self.alphas_cumprod)

    def t_at(self, s: Floats) -> Floats:
        """The (fractional) training timestep at which s is reached, linear in log s."""
        return np.interp(np.log(s), np.log(self.table), np.arange(self.steps))

    @property
    def karras_top(self) -> float:
        """The largest sigma of a Karras ramp: without a bound, one to 4096 spends half its steps above 80."""
        return 80.0 if self.alphas_cumprod[-1] == 0 else np.inf

    def shift_sigma(self, u: Floats) -> Floats:
        """sigma of a flow model at time u in [0, 1]; `shift` > 1 stays longer in the noise (2403.03206)."""
        return self.shift * u / (1 + (self.shift - 1) * u)


def spaced_timesteps(train: int, n: int, spacing: Spacing, offset: int = 0, old: bool = False) -> Floats:
    """(n,) training timesteps from noisy to clean, among 0..train-1 (table 2 of 2305.08891).

    Fractional where they run out. `old`: a lone `linspace` point is 0, as in diffusers, not the noisiest.
    """
    last = train - 1.0
    if spacing == "leading":
        t = np.arange(n, dtype=np.float64)[::-1] * (train // n) + offset
        return t if n <= train and t[0] <= last else np.linspace(last, min(offset, last), n)
    if spacing == "trailing" and n <= train:
        return np.arange(train, 0, -train / n, dtype=np.float64)[:n].round() - 1
    if n == 1:
        return np.array([0.0 if old else last])
    return np.linspace(0, last, n)[::-1]


def karras(high: float, low: float, n: int, rho: float = 7.0) -> Floats:
    """(n,) sigmas from high to low, even in sigma^(1/rho); equation 5 of Karras et al. 2022 (2206.00364)."""
    ramp = np.linspace(0, 1, n)
    return np.asarray((high ** (1 / rho) + ramp * (low ** (1 / rho) - high ** (1 / rho))) ** rho)


def _table(c: Mapping[str, Any]) -> Floats:
    """alphas_cumprod, to the bit as in diffusers: float32 betas, products in float64, rounded to float32."""
    betas = _betas(c)
    if c.get("rescale_betas_zero_snr"):
        betas = _zero_terminal_snr(betas)
    products = np.cumprod((1 - betas).astype(np.float64)).astype(np.float32).astype(np.float64)
    if not (len(products) > 1 and products[-1] >= 0 and products[0] < 1 and np.all(np.diff(products) < 0)):
        raise ModelError("the scheduler's betas must be between 0 and 1, two at least")
    return products


def _betas(c: Mapping[str, Any]) -> NDArray[np.float32]:
    """(T,) float32."""
    if c.get("trained_betas") is not None:
        return np.asarray(c["trained_betas"], dtype=np.float32)
    n, start, end = _train_steps(c), float(c.get("beta_start", 1e-4)), float(c.get("beta_end", 0.02))
    kind = _one_of(c, "beta_schedule", "linear", ("linear", "scaled_linear", "squaredcos_cap_v2"))
    if kind == "linear":
        return _linspace32(start, end, n)
    if kind == "scaled_linear":
        return np.square(_linspace32(start**0.5, end**0.5, n))
    bar: Floats = np.cos((np.arange(n + 1) / n + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.minimum(1 - bar[1:] / bar[:-1], 0.999).astype(np.float32)


def _linspace32(start: float, end: float, n: int) -> NDArray[np.float32]:
    """`torch.linspace` in float32, to the bit: from both ends to the middle, one rounding a value."""
    first, last = np.float32(start), np.float32(end)
    step = np.float64((last - first) / np.float32(max(n - 1, 1)))
    i = np.arange(n)
    x = np.where(i < n // 2, first + step * i, last - step * (n - 1 - i))
    return np.asarray(x, dtype=np.float32)


def _zero_terminal_snr(betas: NDArray[np.float32]) -> NDArray[np.float32]:
    """Algorithm 1 of Lin et al. 2023 (2305.08891): the last timestep keeps no signal."""
    root = np.sqrt(np.cumprod((1 - betas).astype(np.float64)).astype(np.float32))
    first, last = root[0], root[-1]
    bar = ((root - last) * (first / (first - last))) ** 2
    return np.asarray(1 - np.concatenate([bar[:1], bar[1:] / bar[:-1]]), dtype=np.float32)


def _flow_table(c: Mapping[str, Any], shift: float) -> Floats:
    u = np.arange(1, _train_steps(c) + 1) / _train_steps(c)
    return np.asarray((1 - shift * u / (1 + (shift - 1) * u)) ** 2)


def _train_steps(c: Mapping[str, Any]) -> int:
    return int(_between(c, "num_train_timesteps", 1000, 2, 100_000))


def _between(c: Mapping[str, Any], key: str, default: Any, low: float, high: float) -> float:
    value = float(c.get(key, default))
    if not low <= value <= high:
        raise ModelError(f"the scheduler's {key} is {value:g}; it must be from {low:g} to {high:g}")
    return value


def _one_of(c: Mapping[str, Any], key: str, default: Any, known: tuple[Any, ...]) -> Any:
    value = c.get(key, default)
    if value not in known:
        hint = nearest(str(value), [str(k) for k in known])
        raise ModelError(f"the scheduler's {key} is {value!r}; Mezzotint knows {_list_names(known)}{hint}")
    return value


def _list_names(names: tuple[Any, ...]) -> str:
    return ", ".join(str(name) for name in names if name is not None)
