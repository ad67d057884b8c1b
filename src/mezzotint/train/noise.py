"""Noised pictures and what the network is asked of them, by the schedule that it was or shall be trained with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mezzotint.errors import ModelError
from mezzotint.planning import Plan
from mezzotint.schedule import Schedule

BINS = 10
SCHEDULES: dict[str, dict[str, Any]] = {
    "linear": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
    "scaled-linear": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
}
"""As DDPM (2006.11239), Stable Diffusion (2112.10752) and improved DDPM (2102.09672) have them."""


def with_schedule(scheduler: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    """A scheduler's config with another noise schedule; unchanged where it has this one, or none is asked for."""
    config = dict(scheduler)
    own = config.get("beta_schedule", "linear")
    if name is None or (own == SCHEDULES[name]["beta_schedule"] and config.get("trained_betas") is None):
        return config
    return {key: value for key, value in config.items() if key != "trained_betas"} | SCHEDULES[name]


class Noise:
    """x = alpha*x0 + sigma*eps at training times t (n,), and the target that the network's output is compared to."""

    def __init__(self, scheduler: Mapping[str, Any]):
        self.schedule = Schedule.from_config(scheduler)
        if self.schedule.prediction == "flow":
            raise ModelError("a flow model is not fine-tuned here; models of the DDPM family are")
        self.bars = torch.tensor(self.schedule.alphas_cumprod, dtype=torch.float32)  # alpha² at each time
        self.times = len(self.bars)

    def add_noise(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """(n, c, h, w)."""
        alpha, sigma = self._scales(t)
        return alpha * x0 + sigma * eps

    def target(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """eps, v = alpha*eps - sigma*x0 (2202.00512), or x0: whatever the model predicts."""
        alpha, sigma = self._scales(t)
        return {"epsilon": eps, "sample": x0, "v_prediction": alpha * eps - sigma * x0}[
            self.schedule.prediction
        ]

    def bin(self, t: Tensor) -> Tensor:
        """(n,) which tenth of the times each belongs to; 0 is the cleanest."""
        return t * BINS // self.times

    def error(self, ask: Callable[[Tensor, Tensor], Tensor], x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """(n,) the mean squared error of what `ask(x, t)` makes of each noised picture."""
        return squared_errors(ask(self.add_noise(x0, eps, t), t), self.target(x0, eps, t))

    def weight(self, t: Tensor, cap: float) -> Tensor:
        """(n,) 1/SNR, from 1 to the cap, of the error of eps: so noisy times, which decide color and place, weigh more
        than in plain eps-MSE (the truncated weights of 2202.00512)."""
        bar = self.bars[t]
        return ((1 - bar) / bar).clamp(1, cap)

    def _scales(self, t: Tensor) -> tuple[Tensor, Tensor]:
        bar = self.bars[t][:, None, None, None]
        return bar.sqrt(), (1 - bar).sqrt()


def squared_errors(out: Tensor, target: Tensor) -> Tensor:
    """(n,) the mean squared difference of each, in float32, on the device of the output."""
    found: Tensor = (out.float() - target.to(out.device)).square().mean((1, 2, 3))
    return found


def draw_noise(shape: Sequence[int], offset: float, generator: torch.Generator) -> Tensor:
    """Noise for training; `offset` adds a part that is the same over a whole channel, so that brightness is learned too."""
    eps = torch.randn(*shape, generator=generator)
    return eps + offset * torch.randn(*shape[:2], 1, 1, generator=generator) if offset else eps


class SeededNoise:
    """Standard noise (n, *shape), fresh at each call: row i by the generator of seed i alone, as the engine draws it."""

    def __init__(self, shape: Sequence[int], seeds: Sequence[int]):
        self.shape = tuple(shape)
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self) -> Tensor:
        return torch.stack([torch.randn(*self.shape, generator=one) for one in self._generators])


def noise_of_seeds(shape: Sequence[int], seeds: Sequence[int]) -> Tensor:
    """(n, *shape) standard noise, of each seed alone."""
    return SeededNoise(shape, seeds)()


@torch.no_grad()
def sample_plan(table: Plan, ask: Callable[[Tensor, float], Tensor], fresh: Callable[[], Tensor]) -> Tensor:
    """(n, c, h, w) by a plan; `ask` gives the network's output, guided where it should be.

    `fresh` draws noise: what sampling starts from, then what a stochastic sampler adds.
    """
    noise = fresh()
    slots = torch.zeros(table.slots, *noise.shape)
    slots[0] = table.init * noise
    for s in range(table.evaluations):
        out = ask(table.input_scale[s] * slots[0], float(table.timestep[s])).float().cpu()
        raw = table.x_coef[s] * slots[0] + table.out_coef[s] * out
        x0 = raw if table.clip is None else raw.clamp(-table.clip, table.clip)
        update = torch.tensor(table.update[s], dtype=torch.float32)
        with torch.autocast("cpu", enabled=False):  # which would round the products to bfloat16
            slots = torch.einsum("kj,j...->k...", update, torch.cat([slots, x0[None], raw[None]]))
        if table.noise_std[s] > 0:
            slots[0] += table.noise_std[s] * fresh()
    return slots[0]
