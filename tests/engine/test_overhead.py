"""What the engine itself costs beside the network."""

from __future__ import annotations

import time
from statistics import median

import numpy as np
import pytest
from numpy.typing import NDArray

from mezzotint.engine import Engine
from mezzotint.request import Request
from support.toy import Array, Toy


class Idle(Toy):
    """Costs nothing, in the sizes of the bundled model, and notes the processor time between its calls."""

    def __init__(self) -> None:
        super().__init__(max_rows=32, default_size=(128, 128))
        self.between: list[float] = []
        self.left = 0.0
        self.out = np.random.default_rng(0).standard_normal((32, 4, 16, 16)).astype(np.float32)
        self.texts: dict[str, Array] = {}

    def encode_text(self, text: str) -> Array:
        return self.texts.setdefault(text, np.full((77, 512), len(text), np.float32))

    def denoise(self, x: Array, timestep: Array, text: Array, rows: int) -> Array:
        self.between.append(time.thread_time() - self.left)
        self.left = time.thread_time()
        return self.out[: len(x)]

    def decode(self, latents: Array) -> NDArray[np.uint8]:
        return np.zeros((128, 128, 3), np.uint8)


def busy(rows: int, sampler: str) -> Idle:
    """What came of 50 calls for so many rows, two a picture."""
    idle = Idle()
    with Engine(idle, on_step=lambda news: None) as engine:
        requests = [Request(f"picture {i}", seed=i, sampler=sampler, steps=50) for i in range(rows // 2)]
        for future in engine.submit_all(requests):
            future.result()
    assert len(idle.between) == 50
    return idle


def sum_seconds() -> float:
    """The processor time of a hundred small sums, which tells how fast this machine is now."""
    array, times = np.ones((4, 16, 16), np.float32), []
    for _ in range(20):
        began = time.thread_time()
        for _ in range(100):
            np.add(array, array)
        times.append(time.thread_time() - began)
    return median(times)


@pytest.mark.parametrize("sampler", ["dpmpp-2m", "unipc", "ddpm"])
@pytest.mark.parametrize(("rows", "sums"), [(2, 400), (32, 2500)])
def test_engine_call_costs_as_few_small_sums(rows: int, sums: int, sampler: str) -> None:
    """A neighbor on the processor slows one run, seldom all: the quietest of three counts."""
    costs = [median(busy(rows, sampler).between) / (sum_seconds() / 100) for _ in range(3)]
    assert min(costs) < sums
