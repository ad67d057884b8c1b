"""A run with both of its sides in sight: x_t, which the network reads, and x0, what it takes the picture to be.

The engine keeps x0 alone; this walks the same plan, for a few pictures, without steering.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mezzotint.engine import Network
from mezzotint.planning import Plan, plan, without_prompt
from mezzotint.request import Request
from mezzotint.rng import Generator

Floats = NDArray[np.float32]


class WalkState(NamedTuple):
    """One network call of n pictures: slot 0 before it, and x0 after guidance and clipping, each (n, C, h, w)."""

    x: Floats
    x0: Floats


def walk(network: Network, request: Request, seeds: Sequence[int]) -> tuple[Plan, list[WalkState], Floats]:
    """The plan, the state of every call, and the finished latents (n, C, h, w); of samplers that add no noise."""
    table = plan(request if network.reads_text else without_prompt(request), network.schedule)
    slots = np.zeros((table.slots, len(seeds), *_shape(network, request)), np.float32)
    slots[0] = table.init * np.stack([Generator(seed).normal(slots.shape[2:]) for seed in seeds])
    states = list(_steps(network, request, table, slots))
    return table, states, slots[0]


def _steps(network: Network, request: Request, table: Plan, slots: Floats) -> Iterator[WalkState]:
    """Every call in turn; `slots` moves along."""
    for s in range(table.evaluations):
        raw = table.x_coef[s] * slots[0] + table.out_coef[s] * _guided_output(
            network, request, table, s, slots[0]
        )
        x0 = raw if table.clip is None else raw.clip(-table.clip, table.clip)
        yield WalkState(slots[0].copy(), x0.astype(np.float32))
        slots[:] = np.tensordot(table.update[s], np.concatenate([slots, x0[None], raw[None]]), 1)


def _guided_output(network: Network, request: Request, table: Plan, s: int, x: Floats) -> Floats:
    """(n, C, h, w) the network's output, guided."""
    texts = [request.prompt] + [request.negative_prompt] * bool(table.needs_uncond[s])
    read = np.concatenate([x * np.float32(table.input_scale[s])] * len(texts))
    states = np.concatenate([np.stack([network.encode(text)[0]] * len(x)) for text in texts])
    time = np.full(len(read), table.timestep[s], np.float32)
    most = network.max_rows_at(*x.shape[2:])
    parts = [slice(i, i + most) for i in range(0, len(read), most)]
    out = np.concatenate(
        [network.denoise(read[p], time[p], states[p], network.bucket(len(read[p]))) for p in parts]
    )
    given, *without = np.split(out, len(texts))
    return given if not without else without[0] + np.float32(table.cfg[s]) * (given - without[0])


def _shape(network: Network, request: Request) -> tuple[int, int, int]:
    width, height = network.default_size
    factor = network.vae_factor
    return network.latent_channels, (request.height or height) // factor, (request.width or width) // factor


def without_words(request: Request) -> Request:
    """The same run of a model that reads no text."""
    return replace(request, prompt="", negative_prompt="", guidance="none")
