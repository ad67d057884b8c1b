"""What the trajectories of one lane share: a pool of latents, and the rows of the network's input.

Sums over slots are elementwise and in a fixed order, so that no bit depends on the company. A matrix product would be
shorter, but BLAS libraries choose their order of summation by shape and alignment.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from mezzotint.attention import AttentionRecorder
from mezzotint.engine.batcher import Stats
from mezzotint.engine.network import Latents, Network, SupportsAttention, SupportsInitImage, SupportsNewWords
from mezzotint.engine.predict import Prediction, Predictor, clip_x0, plan_column
from mezzotint.engine.steer import Displacement, GradientGuidance, rotate_noise
from mezzotint.engine.trajectory import InitImage, LaneKey, Trajectory, TrajectoryState
from mezzotint.errors import ModelError
from mezzotint.guidance.terms import MAX_MIXES
from mezzotint.request import Request
from mezzotint.rng import Generator, normals

Places = NDArray[np.intp]


class Pool:
    """Slots of up to `capacity` trajectories of one latent shape; each has a place from `take` to `release`.

    `slots` is (K, capacity, size) float32, allocated once; K grows to the largest that any sampler asked for.
    """

    def __init__(self, capacity: int, size: int) -> None:
        self.slots: Latents = np.zeros((1, capacity, size), np.float32)
        self._free = list(reversed(range(capacity)))

    def take(self, slots: int, init: float, noise: Generator) -> int:
        """A place with slot 0 = init*z and the others 0."""
        z = noise.normal(self.slots.shape[2:])
        return self.put((init * z)[None], slots)

    def put(self, latents: Latents, slots: int) -> int:
        """A place whose first slots are `latents` (k, size), and the others 0."""
        if slots > len(self.slots):
            more = np.zeros((slots - len(self.slots), *self.slots.shape[1:]), np.float32)
            self.slots = np.concatenate([self.slots, more])
        place = self._free.pop()
        self.slots[:, place] = 0  # who was here before may have left NaN
        self.slots[: len(latents), place] = latents
        return place

    @property
    def size(self) -> int:
        """Of one slot."""
        return int(self.slots.shape[2])

    def latents(self, place: int) -> Latents:
        """(size,) a copy of slot 0."""
        latents: Latents = self.slots[0, place].copy()
        return latents

    def release(self, place: int) -> None:
        """The place is free for another."""
        self._free.append(place)

    def update(self, at: Places, matrices: NDArray[np.float32], x0_guided: Latents, x0_raw: Latents) -> None:
        """slots' = matrix @ [slots; x0_guided; x0_raw], for n trajectories of equal K.

        at (n,) places, matrices (n, K, K+2), x0 (n, size).
        """
        k = matrices.shape[1]
        old = [*(self.slots[i, at] for i in range(k)), x0_guided, x0_raw]
        weights = matrices.transpose(1, 2, 0)[..., None]  # (K, K+2, n, 1)
        product = np.empty_like(x0_raw)
        for i in range(k):
            total = weights[i, 0] * old[0]
            for j in range(1, k + 2):
                total += np.multiply(weights[i, j], old[j], out=product)
            self.slots[i, at] = total


MOST_READS = 2 + MAX_MIXES  # rows of one picture


class Lane:
    """Starts, moves and ends the trajectories of one lane; at most `budget` are in flight.

    `alone`: steering is computed for each picture by itself, so that no bit of it depends on the company.
    """

    def __init__(self, network: Network, key: LaneKey, budget: int, alone: bool, stats: Stats) -> None:
        self._network, self._key, self._alone, self._stats = network, key, alone, stats
        self._pool = Pool(budget, int(np.prod(key.shape)))
        self._predict = Predictor(network, key, max(budget, MOST_READS), stats)
        self._steering = GradientGuidance(network, alone, stats)

    def start(self, t: Trajectory) -> None:
        """Encode its texts, draw its first noise. When an encoder raises, it gets no place."""
        t.started = perf_counter()
        with self._stats.timing("text"):
            t.cond = self._encode(t, t.request.prompt, "prompt")
            t.uncond = (
                self._encode(t, t.request.negative_prompt, "negative prompt") if t.uses_uncond else t.cond
            )
            t.mix_conds = [self._encode(t, mix.prompt, "mixed prompt") for mix in t.request.terms.mixes]
        if self._key.attention:
            t.recorder = self._recorder(t)
        if t.origin:
            self._resume(t, t.origin)
            return
        t.noise = Generator(t.request.seed)
        if t.init_image:
            self._encode_init_image(t, t.init_image)
        t.place = self._pool.take(t.plan.slots, t.plan.init, t.noise)
        if t.init_latents is not None and t.request.begin:
            self._pool.slots[0, t.place] += np.float32(t.plan.alpha[0]) * t.init_latents

    def state(self, t: Trajectory) -> TrajectoryState:
        """Where it is now, for others to go on from; stays as it is while this one moves."""
        return TrajectoryState(
            self._pool.slots[: t.plan.slots, t.place].copy(),
            t.noise.copy(),
            t.init_latents,
            t.keep_mask,
            t.cfg_ended,
            tuple(t.snapshots),
            tuple(t.ledger),
            perf_counter() - t.started,
        )

    def _resume(self, t: Trajectory, at: TrajectoryState) -> None:
        """Go on from where another was: every bit as if it had come all the way alone."""
        t.place = self._pool.put(at.slots, t.plan.slots)
        t.noise, t.init_latents, t.keep_mask, t.cfg_ended = (
            at.noise.copy(),
            at.init_latents,
            at.keep_mask,
            at.cfg_ended,
        )
        t.snapshots, t.ledger = list(at.snapshots), list(at.ledger)
        t.started -= at.seconds
        t.origin = None

    def _recorder(self, t: Trajectory) -> AttentionRecorder:
        assert isinstance(self._network, SupportsAttention)  # the engine's door sees to it
        network, request = self._network, t.request
        layers = list(zip(network.attention_layers, network.attention_factors, strict=True))
        reader = self._reader(request)
        assert isinstance(reader, SupportsAttention)
        spans = reader.spans(request.prompt, request.encoder)
        return AttentionRecorder(spans, layers, self._key.shape[1:], t.plan.step.tolist())

    def _encode_init_image(self, t: Trajectory, start: InitImage) -> None:
        """The latents of the picture it starts from: one draw of the encoder's posterior, as stock pipelines do."""
        if not isinstance(self._network, SupportsInitImage):
            raise ModelError(f"{self._network.name} cannot start from a picture; it has no encoder")
        with self._stats.timing("encoder"):
            mean, std = self._network.encode_picture(start.pixels)
        t.init_latents = (mean + std * t.noise.normal(self._key.shape) if std.any() else mean).ravel()
        if start.mask is not None:
            mask = start.keep_mask(self._network.vae_factor)
            t.keep_mask = np.broadcast_to(mask, self._key.shape).ravel()

    def _encode(self, t: Trajectory, text: str, role: str) -> NDArray[np.float32]:
        """(tokens, width). Where the model does not read all of it, whoever listens and the picture are told."""
        states, warning = self._reader(t.request).encode(text, role, t.request.encoder)
        if warning:
            t.warnings.append(str(warning))
            warnings.warn(warning, stacklevel=2)
        return states

    def _reader(self, request: Request) -> Network:
        """What reads its texts: the network, or the same with the request's new words."""
        return (
            self._network.with_words(request.words)
            if isinstance(self._network, SupportsNewWords)
            else self._network
        )

    def leave(self, t: Trajectory) -> None:
        """Give up its place, and what only a picture in flight needs: futures may be kept for long."""
        self._pool.release(t.place)
        t.place = -1
        t.mix_conds, t.init_latents, t.keep_mask, t.recorder = [], None, None, None
        del t.cond, t.uncond, t.noise

    def latents(self, t: Trajectory) -> Latents:
        """(1, C, h, w) a copy of where it is now."""
        return self._pool.latents(t.place).reshape(1, *self._key.shape)

    def predict(self, batch: Sequence[Trajectory], rows: int) -> tuple[Prediction, Displacement | None]:
        """x0 of each, from one network call padded to `rows`, steered. What the network raises passes on."""
        with _quiet():
            x = self._pool.slots[0, _places(batch)]
            prediction = self._predict(batch, x, rows)
            displacement = self._steering(batch, x, prediction)
            if displacement:
                _displace(prediction, displacement, batch)
            for i, t in enumerate(batch):
                if t.keep_mask is not None:
                    for x0 in (prediction.x0_raw, prediction.x0_guided):
                        x0[i] += t.keep_mask * (t.init_latents - x0[i])
                if t.plan.adaptive[t.call] and not t.cfg_ended and not t.mix_conds:
                    t.cfg_ended = _agree(t, x[i], prediction, i)
        return prediction, displacement

    def update(self, batch: Sequence[Trajectory], x0: Prediction, displacement: Displacement | None) -> None:
        """Move all slots to where the next call asks, and keep what was attended to."""
        at = _places(batch)
        for i, t in enumerate(batch if x0.maps else ()):
            if t.recorder:
                t.recorder.add(t.call, [layer[i] for layer in x0.maps or ()])
        with _quiet():
            if displacement:
                self._pool.slots[0, at] += displacement.x
            for k in {t.plan.slots for t in batch}:
                some = [i for i, t in enumerate(batch) if t.plan.slots == k]
                matrices = np.array([batch[i].plan.update[batch[i].call] for i in some], np.float32)
                self._pool.update(at[some], matrices, x0.x0_guided[some], x0.x0_raw[some])
            std = plan_column(batch, "noise_std")
            if noisy := np.flatnonzero(std > 0).tolist():
                z = normals([batch[i].noise for i in noisy], self._pool.size)
                for row, i in enumerate(noisy):
                    if displacement and i in displacement.noise_rotations:
                        z[row] = rotate_noise(z[row], displacement.noise_rotations[i])
                self._pool.slots[0, at[noisy]] += std[noisy] * z


def _displace(prediction: Prediction, displacement: Displacement, batch: Sequence[Trajectory]) -> None:
    """x0 after the displacement: `x` and `x0` take eps along, `x0_guided` does not."""
    prediction.x0_raw = prediction.x0_raw + displacement.x0
    prediction.x0_guided = clip_x0(prediction.x0_raw + displacement.x0_guided, batch)


def _agree(t: Trajectory, x: Latents, prediction: Prediction, i: int) -> bool:
    """Whether the cosine of eps with and without the prompt is above the plan's (equation 7 of 2312.12487)."""
    toward = prediction.cfg_direction(i)
    if toward is None:
        return False
    alpha, sigma = np.float32(t.plan.alpha[t.call]), np.float32(t.plan.sigma[t.call])
    with_, without = (
        (x - alpha * x0) / sigma for x0 in (prediction.x0_cond[i], prediction.x0_cond[i] - toward)
    )
    cosine = float(with_ @ without) / float(np.linalg.norm(with_) * np.linalg.norm(without))
    return cosine > float(t.plan.adaptive[t.call])


def _places(batch: Sequence[Trajectory]) -> Places:
    return np.array([t.place for t in batch])


def _quiet() -> np.errstate:
    """The sick are found by their x0; numpy need not warn of them."""
    return np.errstate(over="ignore", invalid="ignore")
