"""The one network call of a tick: rows in, x0 out. Tensors, no policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mezzotint.engine.network import Latents, Network, Shape
from mezzotint.engine.stats import Stats
from mezzotint.engine.trajectory import Trajectory
from mezzotint.errors import ModelError

Column = NDArray[np.float32]  # (n, 1), one number a trajectory


class Prediction(NamedTuple):
    """What the network says of n pictures."""

    x0_guided: Latents  # (n, size), clipped where the plan says so
    x0_raw: Latents  # (n, size), before clipping
    sick: dict[int, str]  # row: why its x0 is not finite


class Predictor:
    """Asks the network about trajectories of one latent shape. Its input arrays are allocated once."""

    def __init__(self, network: Network, shape: Shape, budget: int, stats: Stats) -> None:
        self._network, self._stats = network, stats
        self._x: Latents = np.empty((budget, *shape), np.float32)
        self._timestep = np.empty(budget, np.float32)
        self._text = np.empty((budget, 0, 0), np.float32)  # takes the size of a text when the first comes
        self._texts: list[object] = [None] * budget  # what its rows hold now

    def __call__(self, batch: Sequence[Trajectory], x: Latents, rows: int) -> Prediction:
        """x0 of the batch at x (n, size), in a call padded to `rows`: n with the prompt, then those without.

        ModelError when the network answers in another shape; whatever the network raises passes through.
        """
        guided = np.array([i for i, t in enumerate(batch) if t.rows == 2], np.intp)
        scale = column(batch, "cfg")[guided]
        n, m = len(batch), len(batch) + len(guided)
        flat = self._x.reshape(len(self._x), -1)
        np.multiply(x, column(batch, "input_scale"), out=flat[:n])
        flat[n:m] = flat[guided]
        self._timestep[:n] = column(batch, "timestep")[:, 0]
        self._timestep[n:m] = self._timestep[guided]
        self._write([t.text for t in batch] + [batch[i].negative for i in guided.tolist()])

        out = self._ask(m, rows)
        output = out[:n].copy()
        output[guided] = out[n:] + scale * (out[guided] - out[n:])
        raw = column(batch, "x_coef") * x + column(batch, "out_coef") * output
        healthy = np.isfinite(raw).all(axis=1)
        sick = {i: _cause(batch[i], x[i], out[i], output[i]) for i in np.flatnonzero(~healthy).tolist()}
        return Prediction(_clipped(raw, batch), raw, sick)

    def _write(self, texts: list[NDArray[np.float32]]) -> None:
        """Put the texts into the rows that hold others: between two calls hardly any row changes."""
        if self._text.shape[1:] != texts[0].shape:
            self._text = np.empty((len(self._text), *texts[0].shape), np.float32)
            self._texts = [None] * len(self._text)
        for row, text in enumerate(texts):
            if self._texts[row] is not text:
                self._text[row] = text
                self._texts[row] = text

    def _ask(self, m: int, rows: int) -> Latents:
        """(m, size): the network's output, perhaps in the runtime's own memory; not to be written."""
        x = self._x[:m]
        self._stats.calls += 1
        self._stats.rows += m
        self._stats.padded += rows - m
        with self._stats.timing("network"):
            out = self._network.denoise(x, self._timestep[:m], self._text[:m], rows)
        if out.shape != x.shape:
            raise ModelError(f"the network gave {out.shape} for {x.shape}")
        return np.asarray(out, np.float32).reshape(m, -1)


def column(batch: Sequence[Trajectory], name: str) -> Column:
    """(n, 1) this column of each plan, at the call its trajectory has reached."""
    return np.array([[getattr(t.plan, name)[t.call]] for t in batch], np.float32)


def _clipped(x0: Latents, batch: Sequence[Trajectory]) -> Latents:
    limits = [t.plan.clip for t in batch]
    if not any(limits):
        return x0
    limit = np.array([[np.inf if c is None else c] for c in limits], np.float32)
    return np.clip(x0, -limit, limit)


def _cause(t: Trajectory, x: Latents, conditional: Latents, output: Latents) -> str:
    """Why the x0 of a row is not finite; `output` is after guidance."""
    if not np.isfinite(x).all():
        return "the update before it gave NaN or infinity"
    if not np.isfinite(conditional).all():
        return "the network gave NaN or infinity"
    if not np.isfinite(output).all():
        return f"guidance at scale {t.plan.cfg[t.call]:g} gave NaN or infinity"
    return "x0 is too large for 32-bit numbers"
