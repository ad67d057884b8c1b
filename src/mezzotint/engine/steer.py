"""What gradient terms do to a prediction: the chain rule from the loss to where the recipe displacement. No tensors but numpy's.

With x in slot 0 and eps held, x0 = (x - sigma*eps)/alpha. `Steer` in guidance/steer.py names the recipes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mezzotint.engine.batcher import Stats
from mezzotint.engine.network import Latents, Network, SupportsGradients
from mezzotint.engine.predict import Prediction
from mezzotint.engine.trajectory import Trajectory
from mezzotint.errors import ModelError
from mezzotint.guidance import LossGradient, LossQuery, Steer
from mezzotint.picture import LedgerEntry
from mezzotint.planning import LEAST_ALPHA

Vector = NDArray[np.float32]  # (size,) one picture's latents


class ActiveTerm(NamedTuple):
    """A term that active on a picture of the batch at this call."""

    row: int  # of the batch
    column: int  # of the plan's `steer`
    t: Trajectory

    @property
    def term(self) -> Steer:
        return self.t.steers[self.column]

    @property
    def force(self) -> float:
        return float(self.t.plan.steer[self.t.call, self.column])

    @property
    def alpha(self) -> np.float32:
        """By which x0 follows slot 0 while eps is held."""
        return np.float32(max(self.t.plan.alpha[self.t.call], LEAST_ALPHA))


class Displacement:
    """How far the terms of a call move each picture, summed."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.x = np.zeros(shape, np.float32)  # slot 0
        self.x0 = np.zeros(shape, np.float32)  # x0 and with it eps
        self.x0_guided = np.zeros(shape, np.float32)  # x0 alone
        self.noise_rotations: dict[
            int, list[tuple[float, Vector]]
        ] = {}  # row: rate and direction of the fresh noise


class GradientGuidance:
    """Computes the terms of a batch. `alone`: each by itself, so that no bit depends on the company."""

    def __init__(self, network: Network, alone: bool, stats: Stats) -> None:
        self._network, self._alone, self._stats = network, alone, stats

    def __call__(
        self, batch: Sequence[Trajectory], x: Latents, prediction: Prediction
    ) -> Displacement | None:
        """The displacement of a batch at x (n, size), None where no term active. Those that fail are entered as sick."""
        active = [
            ActiveTerm(i, j, t)
            for i, t in enumerate(batch)
            if t.steers and i not in prediction.failures
            for j in np.flatnonzero(t.plan.steer[t.call]).tolist()
        ]
        if not active:
            return None
        queries = [_loss_query(act, x, prediction) for act in active]
        results = self._loss_gradients(active, queries, prediction.failures)
        for k, result in results.items():
            results[k] = _mask_clipped(active[k], result, _x0(active[k], prediction))
        displacement = Displacement(x.shape)
        for column in sorted({act.column for act in active}):
            mine = {
                act.row: (act, results[k])
                for k, act in enumerate(active)
                if act.column == column and k in results
            }
            self._column(mine, displacement, prediction)
        return displacement

    def _loss_gradients(
        self, active: list[ActiveTerm], queries: list[LossQuery], failures: dict[int, str]
    ) -> dict[int, LossGradient]:
        """What came of each query. Whose fault it is when they fail together shows when each goes alone."""
        assert isinstance(self._network, SupportsGradients)
        with self._stats.timing("steering"):
            try:
                found = dict(enumerate(self._network.loss_gradients(queries, self._alone)))
            except Exception:
                found = {}
                for k, query in enumerate(queries):
                    try:
                        found[k] = self._network.loss_gradients([query], True)[0]
                    except Exception as error:
                        failures[active[k].row] = f"{active[k].term}: {type(error).__name__}: {error}"
        for k, result in list(found.items()):
            if not (np.isfinite(result.gradient).all() and np.isfinite(result.loss)):
                failures[active[k].row] = f"{active[k].term} gave NaN or infinity"
                del found[k]
        return found

    def _column(
        self,
        mine: dict[int, tuple[ActiveTerm, LossGradient]],
        displacement: Displacement,
        prediction: Prediction,
    ) -> None:
        """One term of each picture, entered into the displacement and the ledgers."""
        through = {row: act for row, (act, _) in mine.items() if act.term.through == "unet"}
        chained = self._through_network(through, {row: mine[row][1] for row in through}, prediction)
        for row, (act, result) in mine.items():
            g = chained[row] if row in chained else _eps_held(act, result.gradient.ravel())
            if not np.isfinite(g).all():
                prediction.failures[row] = f"{act.term} gave NaN or infinity through the network"
                continue
            moved = _add_displacement(act, g, result.gradient.ravel(), displacement)
            act.t.ledger.append(_entry(act, result, g, moved, prediction.cfg_direction(row)))

    def _through_network(
        self, active: dict[int, ActiveTerm], results: dict[int, LossGradient], prediction: Prediction
    ) -> dict[int, Vector]:
        """Gradients with respect to slot 0, the network's own derivative included."""
        if not active:
            return {}
        outs = np.zeros_like(prediction.out)
        direct = {}
        for row, act in active.items():
            p, s = act.t.plan, act.t.call
            at_x0, direct[row] = _split(act, results[row].gradient.ravel())
            direct[row] = direct[row] + np.float32(p.x_coef[s]) * at_x0
            weights = {row: 1.0} if act.term.branch == "text" else prediction.row_weights[row].weights
            for line, weight in weights.items():
                outs[line] += np.float32(weight * p.out_coef[s]) * at_x0
        assert prediction.back is not None
        with self._stats.timing("steering"):
            back = prediction.back(outs)
        found = {}
        for row, act in active.items():
            scale = np.float32(act.t.plan.input_scale[act.t.call])
            lines = {row} if act.term.branch == "text" else prediction.row_weights[row].weights
            found[row] = direct[row] + scale * sum(back[line] for line in lines)
        return found


def _x0(act: ActiveTerm, prediction: Prediction) -> Vector:
    """(size,) the x0 that a term looks at, before clipping."""
    x0 = prediction.x0_cond if act.term.branch == "text" else prediction.x0_raw
    return np.asarray(x0[act.row])


def _loss_query(act: ActiveTerm, x: Latents, prediction: Prediction) -> LossQuery:
    """What the loss sees: as the picture will be, so clipped where the sampler clips."""
    t, term = act.t, act.term
    x0 = _x0(act, prediction)
    if t.plan.clip is not None:
        x0 = np.clip(x0, -t.plan.clip, t.plan.clip)
    if term.look == "blend":
        share, c = _blend(t)
        x0 = share * x0 + (1 - share) * x[act.row] / c
    seed = [
        0 if term.slip("crop") else t.request.seed,
        act.column,
        t.call,
    ]  # the slip: one crop for the whole batch
    return LossQuery(term, x0.reshape(t.lane.shape), np.random.default_rng(seed))


def _mask_clipped(act: ActiveTerm, result: LossGradient, x0: Vector) -> LossGradient:
    """No gradient where x0 lies beyond the limits that it is clipped to."""
    if act.t.plan.clip is None:
        return result
    inside = np.abs(x0).reshape(result.gradient.shape) <= act.t.plan.clip
    return LossGradient(result.loss, result.gradient * inside)


def _blend(t: Trajectory) -> tuple[np.float32, np.float32]:
    """The share of x0 in what the community pipeline decodes, sigma; and slot 0's size, where alpha and sigma are
    variance preserving for slot 0 / c."""
    alpha, sigma = t.plan.alpha[t.call], t.plan.sigma[t.call]
    c = np.hypot(alpha, sigma)
    return np.float32(sigma / c), np.float32(c)


def _split(act: ActiveTerm, gradient: Vector) -> tuple[Vector, Vector]:
    """The gradient with respect to x0, and the direct one with respect to slot 0."""
    if act.term.look == "x0":
        return gradient, np.zeros_like(gradient)
    share, c = _blend(act.t)
    return share * gradient, (1 - share) / c * gradient


def _eps_held(act: ActiveTerm, gradient: Vector) -> Vector:
    """The gradient with respect to slot 0 while eps stays as it is."""
    at_x0, direct = _split(act, gradient)
    return at_x0 / act.alpha + direct


def _add_displacement(act: ActiveTerm, g: Vector, seen: Vector, displacement: Displacement) -> Vector:
    """Enter the movement of one term; returns how it displacement x0."""
    row, term, force = act.row, act.term, act.force
    if term.update == "noise":
        displacement.noise_rotations.setdefault(row, []).append((force, g))
        return np.zeros_like(g)
    direction = seen if term.update == "x0" else g
    if term.strength[1] is not None:  # an effect
        length = rms(direction)
        moved = direction * np.float32(force / length if length > 0 else 0.0)
    else:
        moved = direction * np.float32(force) / (act.alpha if term.update == "x" else np.float32(1))
    if term.update == "x":
        displacement.x[row] += act.alpha * moved
    (displacement.x0_guided if term.update == "x0" else displacement.x0)[row] += moved
    return moved


def _entry(
    act: ActiveTerm, result: LossGradient, g: Vector, moved: Vector, toward: Vector | None
) -> LedgerEntry:
    t = act.t
    used = result.gradient if act.term.update == "x0" else g
    product = float(np.linalg.norm(moved) * np.linalg.norm(toward)) if toward is not None else 0.0
    cosine = float(moved @ toward) / product if toward is not None and product > 0 else None
    return LedgerEntry(
        t.call, int(t.plan.step[t.call]), str(act.term), float(result.loss), rms(used), rms(moved), cosine
    )


def rotate_noise(z: Vector, turns: list[tuple[float, Vector]]) -> Vector:
    """Noise turned toward a gradient on the sphere of its radius, sqrt(n); equations 10 and 11 of DSG (2402.03201)."""
    radius = np.float32(np.sqrt(z.size))
    for rate, g in turns:
        length = np.linalg.norm(g)
        if length > 0:
            mixed = z + np.float32(rate) * (radius / length * g - z)
            z = np.asarray(radius / np.linalg.norm(mixed) * mixed, np.float32)
    return z


def rms(v: NDArray[np.float32]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(v, dtype=np.float64))))


def check_steerable(network: Network, steers: Sequence[Steer]) -> None:
    """Open what the terms need. ModelError where the network cannot be steered."""
    if steers and not isinstance(network, SupportsGradients):
        raise ModelError(f"{network.name} cannot be steered by {steers[0]}; it gives no gradients")
    for term in steers:
        network.ready(term)  # type: ignore[attr-defined]
