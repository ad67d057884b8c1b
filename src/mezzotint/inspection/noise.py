"""Noise as a run meets it: its levels by step, and latents with noise of a level added."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mezzotint.errors import RequestError
from mezzotint.inspection.codec import Floats
from mezzotint.planning import plan
from mezzotint.request import Request
from mezzotint.rng import Generator
from mezzotint.schedule import Schedule


class NoiseLevel(NamedTuple):
    """A point of a run: alpha*z + sigma*noise. "Step 10" alone says nothing: 10 of 15 is not 10 of 50."""

    step: int | None  # counted from 0; None: named by its sigma
    of: int | None
    sigma: float
    alpha: float
    timestep: float  # what the network is told

    @property
    def ratio(self) -> float:
        """Noise to signal: what is called sigma where alpha is 1; infinite where no signal is left."""
        return self.sigma / self.alpha if self.alpha else math.inf


def levels(schedule: Schedule, sampler: str, of: int) -> list[NoiseLevel]:
    """Every step of a run of so many, as the sampler's plan has them: alpha is 1 in the sigma family."""
    table = plan(Request(sampler=sampler, steps=of), schedule)
    first = [int(np.flatnonzero(table.step == step)[0]) for step in range(of)]
    return [
        NoiseLevel(step, of, float(table.sigma[s]), float(table.alpha[s]), float(table.timestep[s]))
        for step, s in enumerate(first)
    ]


def level_at(schedule: Schedule, sampler: str, step: int, of: int) -> NoiseLevel:
    """One step of a run. RequestError where the run has no such step."""
    found = levels(schedule, sampler, of)
    if not 0 <= step < of:
        raise RequestError(f"step must be from 0 to {of - 1} of {of}, got {step}")
    return found[step]


def level_of(schedule: Schedule, sigma: float) -> NoiseLevel:
    """The level of a sigma, with alpha 1. RequestError where it is not a number above 0."""
    if not (math.isfinite(sigma) and 0 < sigma <= 1e4):
        raise RequestError(f"sigma must be a number above 0 and at most 10000, got {sigma:g}")
    return NoiseLevel(None, None, sigma, 1.0, float(schedule.t_at(np.array(sigma))))


def even_choice(run: list[NoiseLevel], most: int = 15) -> list[NoiseLevel]:
    """All levels of a run or, where there are many, an even choice with the first and the last."""
    return [run[i] for i in np.linspace(0, len(run) - 1, min(len(run), most)).round().astype(int)]


def add_noise(z: Floats, level: NoiseLevel, seed: int) -> Floats:
    """(C, h, w): alpha*z + sigma*noise, the noise being that a run of this seed begins with."""
    noise = Generator(seed).normal(z.shape)
    return np.asarray(level.alpha * z + level.sigma * noise, np.float32)
