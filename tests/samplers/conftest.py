"""A plan walked in float64 with any network, and the same walk by a scheduler of diffusers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mezzotint.planning import Plan

Array = NDArray[np.float64]
Network = Callable[[Array, float], Array]


def _walk(plan: Plan, network: Network, start: Array, noise: Array, threshold: Any = None) -> Iterator[Array]:
    """Slot 0 after each call, as the interface of the Plan says; `noise` is drawn from in order."""
    slots = np.zeros((plan.slots, *start.shape))
    slots[0] = start
    fresh = iter(noise)
    for s in range(plan.evaluations):
        o = network(plan.input_scale[s] * slots[0], plan.timestep[s])
        raw = plan.x_coef[s] * slots[0] + plan.out_coef[s] * o
        guided = raw if plan.clip is None else np.clip(raw, -plan.clip, plan.clip)
        guided = guided if threshold is None else threshold(guided)
        slots = np.einsum("kj,j...->k...", plan.update[s], np.concatenate([slots, [guided, raw]]))
        if plan.noise_std[s] > 0:
            slots[0] += plan.noise_std[s] * next(fresh)
        yield slots[0]


@pytest.fixture
def walk() -> Callable[..., Iterator[Array]]:
    return _walk
