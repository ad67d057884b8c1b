"""What is asked of both sides: pictures that differ in all that a request can say."""

from __future__ import annotations

import random
from itertools import cycle, islice

from mezzotint.bench.settings import BenchSettings
from mezzotint.request import Request
from mezzotint.samplers import SAMPLERS

COLD_PROMPT = "a red rose"
SAMPLER, SCALE = "dpmpp-2m", 7.5  # of single pictures and cold starts
_COLORS = ("red", "green", "blue", "yellow", "purple", "orange", "white", "black")
_THINGS = ("rose", "cat", "rocket", "house", "butterfly", "racing car", "moon", "sailboat", "cake", "tree")
_PLACES = ("", " in the snow", " by the sea", " at night", " on a green background", " on the moon")
_NEGATIVES = ("", "", "blurry, dark")
_SCALES = (1.0, 20.0)


def single_requests(settings: BenchSettings) -> list[Request]:
    """One request a repeat, and first one to warm up with: all alike but for prompt and seed.

    No prompt comes twice, so that neither side can have its text at hand.
    """
    wanted = settings.repeats + 1
    draw = random.Random(settings.seed)
    return [
        _request(f"{_prompt(draw)}, number {i}", i, settings.steps, SAMPLER, SCALE) for i in range(wanted)
    ]


def mixed_requests(settings: BenchSettings) -> list[Request]:
    """Every sampler about equally often; steps, scales, prompts, seeds drawn at random from the seed."""
    draw = random.Random(settings.seed + 1)
    samplers = list(islice(cycle(SAMPLERS), settings.requests))
    draw.shuffle(samplers)
    return [_mixed_request(draw, sampler, settings.mixed_steps) for sampler in samplers]


def _mixed_request(draw: random.Random, sampler: str, steps: tuple[int, int]) -> Request:
    scale = round(draw.uniform(*_SCALES), 1)
    seed = draw.randrange(2**31)
    negative = draw.choice(_NEGATIVES)
    return _request(_prompt(draw), seed, draw.randint(*steps), sampler, scale, negative)


def _prompt(draw: random.Random) -> str:
    return f"a {draw.choice(_COLORS)} {draw.choice(_THINGS)}{draw.choice(_PLACES)}"


def _request(prompt: str, seed: int, steps: int, sampler: str, scale: float, negative: str = "") -> Request:
    """With `compat`, for the slips of diffusers are part of what both sides must do alike."""
    return Request(
        prompt=prompt,
        negative_prompt=negative,
        seed=seed,
        steps=steps,
        sampler=sampler,
        guidance=f"cfg({scale})",
        compat="diffusers",
    )
