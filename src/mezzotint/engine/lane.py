"""What the trajectories of one latent shape share: a pool of latents, and the rows of the network's input."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from mezzotint.engine.network import Latents, Network, Shape, Telling
from mezzotint.engine.pool import Places, Pool
from mezzotint.engine.predict import Prediction, Predictor
from mezzotint.engine.stats import Stats
from mezzotint.engine.trajectory import Trajectory
from mezzotint.rng import Generator


class Lane:
    """Starts, moves and ends trajectories of one latent shape; at most `budget` are in flight."""

    def __init__(self, network: Network, shape: Shape, budget: int, stats: Stats) -> None:
        self._network, self._shape, self._stats = network, shape, stats
        self._pool = Pool(budget, int(np.prod(shape)))
        self._predict = Predictor(network, shape, budget, stats)

    def start(self, t: Trajectory) -> None:
        """Encode its texts, draw its first noise. When the text encoder raises, it gets no place."""
        t.started = perf_counter()
        with self._stats.timing("text"):
            t.text = self._encode(t, t.request.prompt, "prompt")
            t.negative = self._encode(t, t.request.negative_prompt, "negative prompt") if t.guided else t.text
        t.noise = Generator(t.request.seed)
        t.place = self._pool.take(t.plan.slots, t.plan.init, t.noise)

    def _encode(self, t: Trajectory, text: str, role: str) -> NDArray[np.float32]:
        """(tokens, width). Where the model does not read all of it, whoever listens and the picture are told."""
        if not isinstance(self._network, Telling):
            return self._network.encode_text(text)
        states, told = self._network.encode(text, role)
        if told:
            t.warnings.append(str(told))
            warnings.warn(told, stacklevel=2)
        return states

    def leave(self, t: Trajectory) -> None:
        """Give up its place, and what only a picture in flight needs: futures may be kept for long."""
        self._pool.release(t.place)
        t.place = -1
        del t.text, t.negative, t.noise

    def latents(self, t: Trajectory) -> Latents:
        """(1, C, h, w) a copy of where it is now."""
        return self._pool.latents(t.place).reshape(1, *self._shape)

    def predict(self, batch: Sequence[Trajectory], rows: int) -> Prediction:
        """x0 of each, from one network call padded to `rows`. What the network raises passes on."""
        with _quiet():
            return self._predict(batch, self._pool.slots[0, _places(batch)], rows)

    def update(self, batch: Sequence[Trajectory], x0: Prediction) -> None:
        """Move all slots to where the next call asks."""
        at = _places(batch)
        with _quiet():
            for k in {t.plan.slots for t in batch}:
                some = [i for i, t in enumerate(batch) if t.plan.slots == k]
                matrices = np.array([batch[i].plan.update[batch[i].call] for i in some], np.float32)
                self._pool.update(at[some], matrices, x0.x0_guided[some], x0.x0_raw[some])
        for t in batch:
            if (std := float(t.plan.noise_std[t.call])) > 0:
                self._pool.add_noise(t.place, std, t.noise)


def _places(batch: Sequence[Trajectory]) -> Places:
    return np.array([t.place for t in batch])


def _quiet() -> np.errstate:
    """The sick are found by their x0; numpy need not warn of them."""
    return np.errstate(over="ignore", invalid="ignore")
