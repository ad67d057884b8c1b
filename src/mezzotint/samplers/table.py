"""What a sampler is made of: the levels it walks down, and the table it fills.

A sampler writes its paper's formulas on *basis vectors*: `x` is not a picture but the row (1, 0, ..., 0), so
`x + (x - x0)/sigma * dt` is the row of the update matrix that does this to pictures. Levels are columns, so
that one line fills all steps at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mezzotint.schedule import Floats


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
