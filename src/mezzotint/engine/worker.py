"""The worker: everything in flight, moved one network call at a time, and made a picture at its end."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from operator import attrgetter
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint import __version__
from mezzotint.engine.batcher import Batcher, Mode, RowPadding, Stats
from mezzotint.engine.lane import Lane
from mezzotint.engine.network import (
    Latents,
    Network,
    SupportsEncoders,
    SupportsGradients,
    SupportsLora,
    SupportsUpscaling,
)
from mezzotint.engine.trajectory import LaneKey, Trajectory
from mezzotint.errors import MezzotintError, ModelError
from mezzotint.guidance import Steer
from mezzotint.infotext import a1111_settings
from mezzotint.picture import Picture, Provenance


def origin(network: Network, mode: str) -> Provenance:
    """What the provenance of all pictures of an engine has in common."""
    versions = {"mezzotint": __version__}
    with suppress(PackageNotFoundError):  # a runtime that is no package of its own
        versions[network.runtime] = version(network.runtime)
    return Provenance(
        model=network.name,
        model_digest=network.digest,
        runtime=network.runtime,
        dtype=network.dtype,
        mode=mode,
        device=network.device,
        threads=getattr(network, "threads", 0),
        versions=versions,
        evaluations=0,
        seconds=0.0,
        created="",
    )


def finish(t: Trajectory, latents: Latents, network: Network, origin: Provenance) -> Picture:
    """Decode (1, C, h, w) latents. ModelError when they are not finite; what the decoder raises passes on."""
    if not np.isfinite(latents).all():
        raise ModelError("the last update gave NaN or infinity")
    drawn = network.decode(latents)
    pixels = t.init_image.composite(drawn) if t.init_image else drawn
    size = pixels.shape[1], pixels.shape[0]
    image = Image.fromarray(_upscale(pixels, t.request.upscale, network))
    provenance = replace(
        origin,
        evaluations=t.call,
        seconds=round(perf_counter() - t.started, 6),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        steering={str(term): _describe_steering(network, term) for term in t.steers},
        a1111=a1111_settings(t.request, network.schedule),
        encoders=_read_by(network, t.request.encoder),
        upscaler=_upscaler(t.request.upscale, network),
        warnings=[*t.warnings, *_warnings(size, network)],
    )
    attention = t.recorder.finish((size[1], size[0])) if t.recorder else None
    return Picture(
        image, t.request, provenance, tuple(t.snapshots), attention=attention, ledger=tuple(t.ledger)
    )


def _upscale(pixels: NDArray[np.uint8], factor: int, network: Network) -> NDArray[np.uint8]:
    if factor == 1:
        return pixels
    assert isinstance(network, SupportsUpscaling)  # the engine's door sees to it
    return network.upscale(pixels, factor)


def _upscaler(factor: int, network: Network) -> str:
    return network.upscaler_digest if factor > 1 and isinstance(network, SupportsUpscaling) else ""


def _read_by(network: Network, encoder: str) -> dict[str, str]:
    return network.encoder_facts(encoder) if encoder and isinstance(network, SupportsEncoders) else {}


def _describe_steering(network: Network, term: Steer) -> str:
    assert isinstance(network, SupportsGradients)
    return ", ".join(f"{what} {value}" for what, value in network.facts(term).items())


def _warnings(size: tuple[int, int], network: Network) -> list[str]:
    if size == network.default_size:
        return []
    (w, h), (width, height) = size, network.default_size
    return [f"{w}x{h} is not the size the model was trained at, {width}x{height}"]


NETWORKS = 3  # with different adapters that take turns; models keep as many open


class Worker:
    """Trajectories enter with `add`, leave as a result of their future, and move with `tick`.

    A sick one dies alone: whatever a trajectory raises becomes the result of its own future.
    """

    def __init__(self, network: Network, mode: Mode) -> None:
        self.stats = Stats()
        self._network, self._rows, self._alone = network, RowPadding(network, mode), mode == "exact"
        self._origin = origin(network, mode)
        self._queue: Batcher[Trajectory] = Batcher(self._rows, attrgetter("lora"), NETWORKS)
        self._lanes: dict[LaneKey, Lane] = {}
        self._since = perf_counter()

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, trajectories: list[Trajectory]) -> None:
        """Queue them, oldest first."""
        for t in trajectories:
            self._queue.add(t)

    def cancel(self, t: Trajectory) -> None:
        """Drop a trajectory, where it is still here."""
        if t in self._queue:
            t.future.cancel()
            self._settle(t, None)

    def cancel_all(self) -> None:
        """Drop them all, with what would branch off from them."""
        while self._queue:
            for t in list(self._queue):
                self.cancel(t)

    def abandon(self, error: BaseException) -> None:
        """Fail them all, trusting nothing but their futures."""
        left = list(self._queue)
        while left:
            t = left.pop()
            left += [branch for _, branch in t.branches]
            if t.future.set_running_or_notify_cancel():
                t.future.set_exception(error)

    def tick(self) -> None:
        """One network call, and all that follows from it."""
        self._since = perf_counter()
        batch = [t for t in self._queue.take() if t.place >= 0 or self._start(t)]
        if batch:
            batch.sort(key=attrgetter("place"))  # then hardly any row of text changes between two calls
            self._advance(batch, self._rows.padded_rows(batch[0].lane, sum(t.rows for t in batch)))
        self._clock()

    def _start(self, t: Trajectory) -> bool:
        try:
            if t.lane not in self._lanes:
                self._lanes[t.lane] = self._lane(t.lane)
            self._lanes[t.lane].start(t)
        except Exception as error:
            self._fail(t, error)
        return t.place >= 0

    def _lane(self, key: LaneKey) -> Lane:
        network = (
            self._network.with_lora(key.lora) if isinstance(self._network, SupportsLora) else self._network
        )
        return Lane(network, key, self._rows.budget(key), self._alone, self.stats)

    def _advance(self, batch: list[Trajectory], rows: int) -> None:
        lane = self._lanes[batch[0].lane]
        try:
            prediction, displacement = lane.predict(batch, rows)
        except Exception as error:
            if len(batch) == 1:
                return self._fail(batch[0], error)
            for t in batch:  # whose fault is it? Each alone, among as many rows as before: not a bit changes
                self._advance([t], rows)
            return
        lane.update(batch, prediction, displacement)
        x0 = prediction.x0_guided.reshape(len(batch), *batch[0].lane.shape)
        x0.setflags(write=False)
        for i, t in enumerate(batch):
            if i in prediction.failures:
                self._fail(t, ModelError(prediction.failures[i]))
            else:
                self._after(t, x0[i])

    def _after(self, t: Trajectory, x0: Latents) -> None:
        try:
            t.advance(x0)
            self._branch(t)
            picture = self._develop(t) if t.is_finished else None
        except Exception as error:
            return self._fail(t, error)
        if picture:
            self._settle(t, picture)

    def _branch(self, t: Trajectory) -> None:
        """Let those go that have come along up to here."""
        ready = [branch for call, branch in t.branches if call == t.call]
        if ready:
            state = self._lanes[t.lane].state(t)
            for branch in ready:
                branch.origin, branch.call = state, t.call
            self._release(t, ready)

    def _release(self, t: Trajectory, branches: list[Trajectory]) -> None:
        t.branches = [(call, branch) for call, branch in t.branches if branch not in branches]
        self.add(branches)
        for branch in branches:
            if branch.future.cancelled():  # while it waited
                self.cancel(branch)

    def _develop(self, t: Trajectory) -> Picture:
        latents = self._lanes[t.lane].latents(t)
        with self.stats.timing("decoder"):
            return finish(t, latents, self._network, self._origin)

    def _fail(self, t: Trajectory, error: Exception) -> None:
        ours = isinstance(error, MezzotintError)
        kind, what = (type(error), str(error)) if ours else (ModelError, _one_line(error))
        failure = kind(f"{t.where}: {what}")
        failure.__cause__ = error
        self._settle(t, failure)

    def _settle(self, t: Trajectory, outcome: Picture | Exception | None) -> None:
        """Free its place, then resolve its future. A future that was cancelled meanwhile stays so."""
        if t.place >= 0:
            self._lanes[t.lane].leave(t)
        self._release(
            t, [branch for _, branch in t.branches]
        )  # it failed: they must go all the way themselves
        if self._queue.remove(t):
            self._lanes.pop(t.lane, None)
        self._clock()
        if not t.future.set_running_or_notify_cancel():
            self.stats.cancelled += 1
        elif isinstance(outcome, Picture):
            self.stats.pictures += 1
            t.future.set_result(outcome)
        else:
            self.stats.failed += 1
            t.future.set_exception(outcome)

    def _clock(self) -> None:
        """Count the time up to now, so that the statistics are whole whenever a future is resolved."""
        now = perf_counter()
        self.stats.busy += now - self._since
        self._since = now


def _one_line(error: Exception) -> str:
    """A foreign error; those of runtimes may be pages long."""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
