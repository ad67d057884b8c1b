"""The one network call of a tick: rows in, x0 out. Tensors, no policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mezzotint.engine.batcher import Stats
from mezzotint.engine.network import Latents, Network, Pullback, SupportsAttention, SupportsGradients
from mezzotint.engine.trajectory import LaneKey, Trajectory
from mezzotint.errors import ModelError

Column = NDArray[np.float32]  # (n, 1), one number a trajectory


@dataclass(eq=False)
class RowWeights:
    """Which rows of a call make up the output of one picture: uncond + scale*(cond - uncond) + sum of the mixes."""

    cond: int  # the row with the prompt
    scale: float
    uncond: int | None = None  # the row without it; None where its weight is 0
    mixes: list[tuple[int, float]] = field(default_factory=list)  # row and weight of each further prompt

    @property
    def weights(self) -> dict[int, float]:
        """The weight of each row; they sum to 1."""
        weights = {self.cond: self.scale, **dict(self.mixes)}
        return weights if self.uncond is None else {**weights, self.uncond: 1 - sum(weights.values())}


@dataclass(eq=False)
class Prediction:
    """What the network says of n pictures, in a call of m rows of which the first n have the prompts."""

    x0_guided: Latents  # (n, size), clipped where the plan says so
    x0_raw: Latents  # (n, size), before clipping
    x0_cond: Latents  # (n, size), of the rows with the prompts alone
    out: Latents  # (m, size), the network's output
    row_weights: list[RowWeights]
    x0_over_out: Column  # (n, 1)
    failures: dict[int, str]  # picture: why its x0 is not finite
    back: Pullback | None = None  # (m, size) both, where gradients go through the network
    maps: list[NDArray[np.float32]] | None = None  # of each attention layer (n, h*w, tokens), where asked for

    def cfg_direction(self, i: int) -> Latents | None:
        """(size,) where classifier-free guidance moves the x0 of a picture; None where it does not."""
        weights = self.row_weights[i]
        if weights.uncond is None:
            return None
        found: Latents = self.x0_over_out[i] * (self.out[i] - self.out[weights.uncond])
        return found


class Predictor:
    """Asks the network about the trajectories of one lane. Its input arrays are allocated once."""

    def __init__(self, network: Network, lane: LaneKey, budget: int, stats: Stats) -> None:
        self._network, self._lane, self._stats = network, lane, stats
        self._x: Latents = np.empty((budget, *lane.shape), np.float32)
        self._timestep = np.empty(budget, np.float32)
        self._text = np.empty((budget, 0, 0), np.float32)  # takes the size of a text when the first comes
        self._texts: list[object] = [None] * budget  # what its rows hold now

    def __call__(self, batch: Sequence[Trajectory], x: Latents, rows: int) -> Prediction:
        """x0 of the batch at x (n, size), in a call padded to `rows`.

        ModelError when the network answers in another shape; whatever the network raises passes through.
        """
        n = len(batch)
        row_weights, sources, texts = _call_rows(batch)
        flat = self._x.reshape(len(self._x), -1)
        np.multiply(x, plan_column(batch, "input_scale"), out=flat[:n])
        flat[n : len(texts)] = flat[sources]
        self._timestep[:n] = plan_column(batch, "timestep")[:, 0]
        self._timestep[n : len(texts)] = self._timestep[sources]
        self._write(texts)

        out, back, maps = self._ask(len(texts), rows)
        x_coef, out_coef = plan_column(batch, "x_coef"), plan_column(batch, "out_coef")
        output = _combine_rows(out, row_weights)
        raw = x_coef * x + out_coef * output
        healthy = np.isfinite(raw).all(axis=1)
        sick = {i: _cause(batch[i], x[i], out[i], output[i]) for i in np.flatnonzero(~healthy).tolist()}
        text = raw if n == len(texts) else x_coef * x + out_coef * out[:n]
        return Prediction(
            clip_x0(raw, batch),
            raw,
            text,
            out,
            row_weights,
            out_coef,
            sick,
            back,
            maps and [m[:n] for m in maps],
        )

    def _write(self, texts: list[NDArray[np.float32]]) -> None:
        """Put the texts into the rows that hold others: between two calls hardly any row changes."""
        if self._text.shape[1:] != texts[0].shape:
            self._text = np.empty((len(self._text), *texts[0].shape), np.float32)
            self._texts = [None] * len(self._text)
        for row, text in enumerate(texts):
            if self._texts[row] is not text:
                self._text[row] = text
                self._texts[row] = text

    def _ask(self, m: int, rows: int) -> tuple[Latents, Pullback | None, list[NDArray[np.float32]] | None]:
        """(m, size) the network's output, perhaps in the runtime's own memory, not to be written; what else was asked."""
        inputs = self._x[:m], self._timestep[:m], self._text[:m]
        self._stats.calls += 1
        self._stats.rows += m
        self._stats.padded += rows - m
        back, maps = None, None
        with self._stats.timing("network"):
            if self._lane.attention:
                assert isinstance(self._network, SupportsAttention)
                out, maps = self._network.attend(*inputs, rows)
            if self._lane.gradient:  # torch differentiates a call of its own
                assert isinstance(self._network, SupportsGradients)
                out, through = self._network.pullback(*inputs)
                back = lambda d: through(d.reshape(out.shape)).reshape(d.shape)  # noqa: E731
            elif not self._lane.attention:
                out = self._network.denoise(*inputs, rows)
        if out.shape != inputs[0].shape:
            raise ModelError(f"the network gave {out.shape} for {inputs[0].shape}")
        return np.asarray(out, np.float32).reshape(m, -1), back, maps


def _call_rows(batch: Sequence[Trajectory]) -> tuple[list[RowWeights], list[int], list[NDArray[np.float32]]]:
    """The rows of a call: its row weights, the picture of each row after the first n, and the text of each row."""
    row_weights = [RowWeights(i, t.scale) for i, t in enumerate(batch)]
    texts = [t.cond for t in batch]
    sources: list[int] = []
    for i, t in enumerate(batch):
        if t.needs_uncond:
            row_weights[i].uncond = len(texts)
            texts.append(t.uncond)
            sources.append(i)
    for i, t in enumerate(batch):
        for k in np.flatnonzero(t.plan.mix[t.call]).tolist() if t.mix_conds else ():
            row_weights[i].mixes.append((len(texts), float(t.plan.mix[t.call, k])))
            texts.append(t.mix_conds[k])
            sources.append(i)
    return row_weights, sources, texts


def _combine_rows(out: Latents, row_weights: list[RowWeights]) -> Latents:
    """(n, size) what each picture reads from the rows."""
    output = out[: len(row_weights)].copy()
    guided = [(r.cond, r.uncond, r.scale) for r in row_weights if r.uncond is not None]
    if guided:
        cond, uncond = [r[0] for r in guided], [r[1] for r in guided]
        scale = np.array([[row[2]] for row in guided], np.float32)
        output[cond] = out[uncond] + scale * (out[cond] - out[uncond])
    for i, weights in enumerate(row_weights):
        if weights.mixes:
            if weights.uncond is None:
                output[i] *= np.float32(weights.scale)
            base = 0 if weights.uncond is None else out[weights.uncond]
            for line, weight in weights.mixes:
                output[i] += np.float32(weight) * (out[line] - base)
    return output


def plan_column(batch: Sequence[Trajectory], name: str) -> Column:
    """(n, 1) this column of each plan, at the call its trajectory has reached."""
    return np.array([[getattr(t.plan, name)[t.call]] for t in batch], np.float32)


def clip_x0(x0: Latents, batch: Sequence[Trajectory]) -> Latents:
    """x0 within the limits of the plans."""
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
        return f"guidance at scale {t.scale:g} gave NaN or infinity"
    return "x0 is too large for 32-bit numbers"
