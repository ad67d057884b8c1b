"""The engine: one thread that moves every picture in flight, one network call at a time."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from itertools import count
from operator import attrgetter
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, get_args
from weakref import WeakSet

from mezzotint.engine.batcher import Mode, Stats
from mezzotint.engine.network import (
    Network,
    Shape,
    SupportsAttention,
    SupportsEncoders,
    SupportsLora,
    SupportsNewWords,
    SupportsUpscaling,
)
from mezzotint.engine.prefix_sharing import share_prefixes
from mezzotint.engine.steer import check_steerable
from mezzotint.engine.trajectory import LaneKey, OnStep, Trajectory, init_image_of
from mezzotint.engine.worker import Worker
from mezzotint.errors import MezzotintError, ModelError, RequestError, nearest
from mezzotint.picture import Picture
from mezzotint.planning import Plan, plan, without_prompt
from mezzotint.request import Request

# what of a request decides its plan; `init` only whether there is one
_PLANNED = ("sampler", "steps", "spacing", "eta", "guidance", "compat", "begin", "init")
_what_is_planned = attrgetter(*_PLANNED)


class Engine:
    """Makes pictures from requests. Any thread may submit; requests join and leave at every network call.

    `fast`: in company a request differs from the same alone by rounding, at most 2/255 in float32; `exact`:
    in no bit, on the same machine with the same precision and number of threads.
    `model` is open, or the name, folder or hub id of one; None: the bundled `emoji`.
    `on_step` hears of every picture after every call, on the engine's thread. Close it, or use `with`.
    """

    def __init__(
        self,
        model: Network | str | os.PathLike[str] | None = None,
        mode: Mode = "fast",
        on_step: OnStep | None = None,
    ) -> None:
        if mode not in get_args(Mode):
            raise RequestError(f"mode must be 'fast' or 'exact', got {mode!r}{nearest(mode, get_args(Mode))}")
        self._model, self._on_step = _open_network(model), on_step
        self._worker = Worker(self._model, mode)
        self._plan = lru_cache(maxsize=64)(self._plan_of)
        self._ids = count()
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()  # what the thread does between ticks
        self._door = threading.Lock()  # nothing new enters once the engine is closed
        self._closed = self._closing = False
        self._crash: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="mezzotint-engine", daemon=True)
        self._thread.start()
        _live.add(self)

    @property
    def defaults(self) -> Mapping[str, Any]:
        """What the model's folder proposes for fields that a request leaves out: guidance, sampler, steps."""
        return getattr(self._model, "defaults", {})

    # The door: any thread.

    def submit(
        self, request: Request, *, trace: int = 0, attention: bool = False, on_step: OnStep | None = None
    ) -> Future[Picture]:
        """Queue a request. RequestError at once where it does not suit the model.

        `trace`: keep x0 of every so many evaluations in `Picture.trace`. `attention`: keep where the network
        looked for each word in `Picture.attention`. `on_step`: hears of this picture in
        place of the engine's own. `Future.cancel` works until the end. When this picture goes wrong, only its
        future fails, with ModelError naming the step.
        """
        return self.submit_all([request], trace=trace, attention=attention, on_step=on_step)[0]

    def submit_all(
        self,
        requests: Iterable[Request],
        *,
        trace: int = 0,
        attention: bool = False,
        on_step: OnStep | None = None,
        share: bool = False,
    ) -> list[Future[Picture]]:
        """Queue several at once, so that the first network call has them all. All are checked first.

        `share`: requests that differ in their guidance alone go along as one until it differs. The promises hold;
        `on_step` hears of each from there on. Not with `attention`.
        """
        listener = on_step or self._on_step
        if attention and not (self._model.reads_text and isinstance(self._model, SupportsAttention)):
            raise RequestError(f"{self._model.name} attends to no words; leave attention out")
        new = [self._trajectory(r, listener, max(0, trace), attention) for r in requests]
        with self._door:
            if self._closed:
                after = f" after {self._crash!r}" if self._crash else ""
                raise MezzotintError(f"the engine is closed{after}; open another one") from self._crash
            for t in new:
                t.id = next(self._ids)
            self._inbox.put(
                partial(self._worker.add, share_prefixes(new) if share and not attention else new)
            )
        for t in new:
            t.future.add_done_callback(partial(self._on_cancel, t))
        return [t.future for t in new]

    def check(self, request: Request) -> Plan:
        """What would be done for a request. RequestError or ModelError where `submit` would raise it."""
        return self._trajectory(request, None, 0, False).plan

    def _on_cancel(self, t: Trajectory, future: Future[Picture]) -> None:
        if future.cancelled():
            self._inbox.put(partial(self._worker.cancel, t))

    def close(self, drain: bool = True) -> None:
        """Finish what was submitted, or cancel it where `drain` is false, and end the thread."""
        with self._door:
            self._closed = True
            self._inbox.put(partial(self._end, drain))
        if threading.current_thread() is not self._thread:
            self._thread.join()

    @property
    def closed(self) -> bool:
        """Whether it takes nothing more: it was closed, or broke down."""
        return self._closed

    @property
    def stats(self) -> Stats:
        """A copy of the counts and times so far."""
        return replace(self._worker.stats)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close(drain=kind is None)

    def _trajectory(
        self, request: Request, listener: OnStep | None, trace: int, attention: bool
    ) -> Trajectory:
        """All that can be said against a request is said here, before any work."""
        if not isinstance(request, Request):
            raise RequestError(f"a Request is needed, got {type(request).__name__}")
        if (request.prompt or request.negative_prompt or request.terms.mixes) and not self._model.reads_text:
            name, steer = self._model.name, "--guidance 'clip(\"...\")'"
            raise RequestError(f"{name} draws without a prompt; leave it out, or steer it with {steer}")
        plan, shape = self._compile(request), self._shape(request)
        steers = request.terms.steers
        check_steerable(self._model, steers)
        if request.encoder and isinstance(self._model, SupportsEncoders):
            self._model.encoder_facts(request.encoder)  # opens what reads the texts
        if request.lora:
            self._check_lora(request.lora)
        if request.words:
            self._check_words(request.words)
        if request.upscale > 1 and not isinstance(self._model, SupportsUpscaling):
            raise ModelError(f"{self._model.name} enlarges no pictures; leave upscale out")
        through = any(term.through == "unet" for term in steers)
        key = LaneKey(shape, through, attention, request.lora)
        factor = self._model.vae_factor
        begin = init_image_of(request, (shape[2] * factor, shape[1] * factor))
        return Trajectory(request, plan, key, begin, steers=steers, on_step=listener, trace=trace)

    def _check_lora(self, lora: str) -> None:
        if not isinstance(self._model, SupportsLora):
            raise ModelError(f"{self._model.name} takes no adapters; leave lora out")
        self._model.check_lora(lora)

    def _check_words(self, words: str) -> None:
        if not isinstance(self._model, SupportsNewWords):
            raise ModelError(f"{self._model.name} takes no new words; leave words out")
        self._model.check_words(words)

    def _compile(self, request: Request) -> Plan:
        """The pictures of a sweep over prompts and seeds share one plan."""
        try:
            return self._plan(*_what_is_planned(request))
        except MezzotintError:
            raise
        except Exception as error:
            what = f"{request.sampler} cannot be planned with {request.steps} steps"
            raise RequestError(f"{what}: {error}") from error

    def _plan_of(self, *values: Any) -> Plan:
        request = Request(**dict(zip(_PLANNED, values, strict=True)))
        return plan(request if self._model.reads_text else without_prompt(request), self._model.schedule)

    def _shape(self, request: Request) -> Shape:
        width, height = self._model.default_size
        factor, multiple = self._model.vae_factor, self._model.side_multiple
        width, height = request.width or width, request.height or height
        if width % multiple or height % multiple:
            raise RequestError(
                f"{self._model.name} makes sides divisible by {multiple}, not {width}x{height}"
            )
        return self._model.latent_channels, height // factor, width // factor

    def _run(self) -> None:
        try:
            while self._receive():
                self._worker.tick()
        except BaseException as error:  # a bug of ours, yet nobody may wait forever
            self._break(error)
            raise

    def _receive(self) -> bool:
        """Take in what has come; wait only when there is nothing to do. False: closed, and all is done."""
        while not self._inbox.empty() or not (self._worker or self._closing):
            self._inbox.get()()
        return bool(self._worker)

    def _end(self, drain: bool) -> None:
        self._closing = True
        if not drain:
            self._worker.cancel_all()

    def _break(self, error: BaseException) -> None:
        """Refuse what may still come, and fail what is here."""
        with self._door:
            self._closed, self._crash = True, error
        while not self._inbox.empty():
            with suppress(Exception):  # the worker may be in any state; its futures matter
                self._inbox.get()()
        self._worker.abandon(MezzotintError(f"the engine broke down: {error!r}"))


_live: WeakSet[Engine] = WeakSet()


@atexit.register
def _close_all() -> None:
    """The interpreter would abort, were it to end while one of our threads is inside a network."""
    for engine in list(_live):
        engine.close(drain=False)


def _open_network(model: Network | str | os.PathLike[str] | None) -> Network:
    """The model itself, or what the name or folder opens as. ModelError where it is neither."""
    if model is not None and not isinstance(model, (str, os.PathLike)):
        if not hasattr(model, "denoise"):
            kind = type(model).__name__
            raise ModelError(f"model must be a bundled name, a folder or an open model, got {kind}")
        return model
    from mezzotint import models  # the engine itself needs no model on a disk

    return models.open_model() if model is None else models.open_model(model)
