"""The service behind every face of the server: requests in, news and pictures out. It knows no HTTP."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mezzotint.engine import Network
from mezzotint.models.disk.source import defaults_of
from mezzotint.picture import Picture
from mezzotint.request import Request
from mezzotint.serve.beside import Beside
from mezzotint.serve.board import JobBoard
from mezzotint.serve.claim import StoreClaim
from mezzotint.serve.drawing import PictureDrawing
from mezzotint.serve.errors import FailedPictureError, NotFinishedError, NotFoundError, QueueFullError
from mezzotint.serve.events import JobEvent
from mezzotint.serve.hosts import EngineHosts, OpenNetwork
from mezzotint.serve.jobs import JobItem, JobOptions, JobState, PictureJob
from mezzotint.serve.journal import JobJournal
from mezzotint.serve.orders import PictureOrder, check_limits, requests_of
from mezzotint.serve.settings import ServeSettings
from mezzotint.serve.views import JobView, view_of
from mezzotint.store import Store

_T = TypeVar("_T")
log = logging.getLogger("mezzotint.serve")
_PLAIN = JobOptions()
_LOGGED = 20  # prompts of a job, where they are logged
_PEEK = 5.0  # seconds for which somebody who asked for a preview is thought to ask again
_TELL = 1.0  # seconds between two tellings of places in the queue


class PictureService:
    """Accepts jobs, has them drawn and keeps what became of them. Call its coroutines from any event loop.

    `start` before, `stop` after. OutputError, ConfigError where store or database cannot be opened.
    """

    def __init__(self, settings: ServeSettings, open_network: OpenNetwork | None = None) -> None:
        self.settings = settings
        opener = open_network or _opener(settings)
        self.hosts = EngineHosts(settings.sources, opener, settings.mode, settings.max_memory)
        with ExitStack() as undo:  # what is open already, where the next cannot be opened
            self.store = undo.enter_context(Store.open(settings.store))
            undo.enter_context(closing(StoreClaim(settings.store)))
            url = settings.database or f"sqlite:///{settings.store / 'jobs.sqlite'}"
            self.journal = undo.enter_context(closing(JobJournal(url)))
            self._undo = undo.pop_all()
        self.beside = Beside(settings.store)
        self.board = JobBoard(self.journal, self.hosts, settings.max_queue)
        self._drawing = PictureDrawing(self.board, self.hosts, self.store, self.beside)
        self._threads = ThreadPoolExecutor(8, "mezzotint-serve")
        self._stopped = threading.Event()

    # From start to stop.

    def warm(self) -> None:
        """Open the first model in the background, so that the first picture need not wait for it."""
        threading.Thread(target=self._warm, name="mezzotint-warm", daemon=True).start()

    def start(self) -> None:
        """Take up what an earlier process left, and begin to draw."""
        self.board.resume()
        self._drawing.dispatcher.start()
        threading.Thread(target=self._tell, name="mezzotint-places", daemon=True).start()

    @property
    def draining(self) -> bool:
        """Whether new jobs are refused."""
        return self.board.draining

    def drain(self) -> None:
        """Refuse new jobs and start no more pictures; returns when those being drawn are finished. Any thread."""
        self.board.drain(self._drawing.dispatcher.stop)

    def stop(self) -> None:
        """End: finish what engines have, write it down, close everything."""
        self.drain()
        self._stopped.set()
        self.hosts.close(drain=True)
        self._drawing.close()
        self._threads.shutdown()
        self._undo.close()

    # For faces.

    async def requests(self, order: PictureOrder) -> list[tuple[str, Request]]:
        """(model, request) of what a client asks for in our own JSON. RequestError, ConfigError, UnknownModelError."""
        return await self.off_loop(lambda: requests_of(order, self.settings, self._defaults))

    async def submit(
        self,
        requests: Sequence[tuple[str, Request]],
        client: str = "local",
        *,
        options: JobOptions = _PLAIN,
        priority: int = 0,
        idempotency: str = "",
        asked: str = "",
    ) -> PictureJob:
        """Accept a job of (model, request): when this returns it is written down.

        With a client's key `idempotency` that was used before, the job of that time; ConflictError where `asked`, what the
        client sent, is another text.

        RequestError, ModelError: it cannot be drawn. QueueFullError, DrainingError, UnknownModelError.
        """
        job = await self.off_loop(
            lambda: self.board.accept(requests, client, options, priority, idempotency, asked, self._checked)
        )
        facts: dict[str, Any] = {"job": job.id, "client": client, "pictures": len(job.items)}
        if self.settings.log_prompts:
            facts["prompts"] = sorted({request.prompt for _, request in requests})[:_LOGGED]
        log.info("accepted", extra={"facts": facts})
        return job

    async def job(self, id_: str) -> PictureJob:
        """A job, whoever submitted it. NotFoundError."""
        known = self.board.known(id_)
        return known if known else await self.off_loop(lambda: self.board.find(id_))

    async def jobs(
        self, states: Sequence[JobState] = (), limit: int = 50, offset: int = 0
    ) -> tuple[list[PictureJob], int]:
        """A page of jobs, newest first, and how many there are in all."""
        return await self.off_loop(lambda: self.board.listed(states, limit, offset))

    async def view(self, job: PictureJob, offset: int = 0, limit: int = 1000) -> JobView:
        """The state of a job as clients see it, with some of its pictures."""
        items = job.items[offset : offset + limit]
        return await self.off_loop(lambda: view_of(job, *self.board.outlook(job), items))

    async def follow(self, id_: str, after: int = 0) -> AsyncIterator[JobEvent]:
        """News of a job after an event's id, until its last; of one that ended long ago, how it ended."""
        job = await self.job(id_)
        if job.ended is not None and not job.log.since(0):
            job.log.add("done", {"state": job.state}, last=True)
        async for event in job.log.follow(after):
            yield event

    async def wait(self, id_: str) -> PictureJob:
        """The job once it has ended, or the server goes down."""
        job = await self.job(id_)
        if job.ended is None:
            async for _ in job.log.follow():
                pass
        return job

    async def picture(self, id_: str, number: int = 0) -> Picture:
        """A finished picture. NotFoundError, NotFinishedError; FailedPictureError says what went wrong."""
        key = await self._key(id_, number)
        return _there(await self.off_loop(lambda: self.store.read(key)), id_, number)

    async def png(self, id_: str, number: int = 0) -> bytes:
        """The file of a finished picture, as it was kept. Errors as of `picture`."""
        path = self.store.path(await self._key(id_, number))
        return _there(await self.off_loop(lambda: path.read_bytes() if path.exists() else None), id_, number)

    async def _key(self, id_: str, number: int) -> str:
        item = self.item(await self.job(id_), number)
        if item.state == "failed":
            raise FailedPictureError(item.error)
        if item.state != "finished":
            raise NotFinishedError(f"picture {number} is {item.state}")
        return item.key

    def preview(self, job: PictureJob) -> NDArray[np.uint8] | None:
        """(H, W, 3) the newest rough picture of a job; asking for one has more made for a while."""
        job.peeked = time.monotonic() + _PEEK
        return job.preview

    async def cancel(self, id_: str) -> bool:
        """Give up what is not finished; whether there was anything. Rows are free at the next network call."""
        job = await self.job(id_)
        return await self.off_loop(lambda: self.board.cancel(job))

    async def set_priority(self, id_: str, priority: int) -> PictureJob:
        """Move what still waits of a job; larger is sooner."""
        job = await self.job(id_)
        await self.off_loop(lambda: self.board.set_priority(job, priority))
        return job

    async def network(self, model: str) -> Network:
        """An open model, for what it says of itself. UnknownModelError; QueueFullError where it has no room now."""
        return await self.off_loop(lambda: self._network(model))

    async def defaults(self, model: str) -> Mapping[str, Any]:
        """What a model proposes for fields that a client leaves out."""
        return await self.off_loop(lambda: self._defaults(model))

    def item(self, job: PictureJob, number: int) -> JobItem:
        """A picture of a job. NotFoundError."""
        if not 0 <= number < len(job.items):
            raise NotFoundError(f"{job.id} has pictures 0 to {len(job.items) - 1}")
        return job.items[number]

    async def off_loop(self, work: Callable[[], _T]) -> _T:
        """What `work` returns, computed on a thread of the service."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    # On threads of its own.

    def _checked(self, number: int, model: str, request: Request) -> JobItem:
        """Checked against its model, where that is open or has room; else when its turn comes."""
        check_limits(request, self.settings)
        item = JobItem(number, model, request, request.steps)
        if host := self.hosts.acquire(model):
            try:
                check_limits(request, self.settings, host.network.default_size)
                plan = host.check(request)
                item.evaluations, item.cost = plan.evaluations, host.cost(request, plan)
            finally:
                self.hosts.release(host)
        return item

    def _defaults(self, model: str) -> Mapping[str, Any]:
        """What the model proposes for fields that are left out."""
        if host := self.hosts.acquire(model):
            self.hosts.release(host)
            return host.engine.defaults
        return defaults_of(self.hosts.source(model))

    def _network(self, model: str) -> Network:
        host = self.hosts.acquire(model)
        if host is None:
            raise QueueFullError(f"{model} has no room while others draw", retry_after=10)
        self.hosts.release(host)
        return host.network

    def _warm(self) -> None:
        with suppress(Exception):  # whoever asks for a picture hears what is wrong
            if host := self.hosts.acquire(next(iter(self.settings.sources))):
                if prepare := getattr(host.network, "prepare", None):
                    prepare(2 if host.network.reads_text else 1)
                self.hosts.release(host)

    def _tell(self) -> None:
        while not self._stopped.wait(_TELL):
            self.board.tell_places()


def _there(found: _T | None, id_: str, number: int) -> _T:
    if found is None:
        raise NotFoundError(f"picture {number} of {id_[:40]} is no longer in the store")
    return found


def _opener(settings: ServeSettings) -> OpenNetwork:
    from mezzotint.models import open_model

    return lambda source: open_model(source, settings.runtime, settings.precision)
