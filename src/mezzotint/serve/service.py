"""The service behind every face of the server: requests in, news and pictures out. It knows no HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mezzotint.engine import Network, Progress
from mezzotint.engine.network import SupportsPreview
from mezzotint.errors import MezzotintError
from mezzotint.models.disk.source import defaults_of
from mezzotint.picture import Picture
from mezzotint.request import Request
from mezzotint.serve.dispatch import Dispatcher
from mezzotint.serve.errors import (
    ConflictError,
    DrainingError,
    NotFinishedError,
    NotFoundError,
    QueueFullError,
)
from mezzotint.serve.events import JobEvent
from mezzotint.serve.fair import FairQueue, Ticket
from mezzotint.serve.hosts import EngineHost, EngineHosts, OpenNetwork
from mezzotint.serve.jobs import ENDED, JobItem, JobOptions, JobState, PictureJob
from mezzotint.serve.journal import JobJournal
from mezzotint.serve.orders import PictureOrder, check_limits, requests_of
from mezzotint.serve.settings import ServeSettings
from mezzotint.serve.views import JobView, view_of
from mezzotint.store import Store, key_of, precision_of

_T = TypeVar("_T")
_REMEMBERED = 256  # jobs that ended, with their events
_PLAIN = JobOptions()
_PEEK = 5.0  # seconds for which somebody who asked for a preview is thought to ask again
_SHARE = 0.75  # of the queue that one client may fill


class PictureService:
    """Accepts jobs, has them drawn and keeps what became of them. Call its coroutines from any event loop.

    `start` before, `stop` after.
    """

    def __init__(self, settings: ServeSettings, open_network: OpenNetwork | None = None) -> None:
        self.settings = settings
        self.hosts = EngineHosts(
            settings.sources, open_network or _opener(settings), settings.mode, settings.max_memory
        )
        self.store = Store.open(settings.store)
        self.journal = JobJournal(settings.database or f"sqlite:///{settings.store / 'jobs.sqlite'}")
        self.queue = FairQueue()
        self.draining = False
        self._door = threading.Condition()
        self._jobs: dict[str, PictureJob] = {}  # those that go on, and some that ended
        self._threads = ThreadPoolExecutor(8, "mezzotint-serve")
        self._keeper = ThreadPoolExecutor(1, "mezzotint-keep")  # writes pictures, in the order they come
        self._dispatcher = Dispatcher(
            self.queue, self.hosts, self._door, self._begin, self._step, self._settle_later
        )

    # For faces: coroutines, and what returns at once.

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
    ) -> PictureJob:
        """Accept a job of (model, request): when this returns it is written down.

        RequestError, ModelError: it cannot be drawn. QueueFullError, DrainingError, UnknownModelError.
        """
        return await self.off_loop(lambda: self._submit(requests, client, options, priority, idempotency))

    async def job(self, id_: str) -> PictureJob:
        """A job, whoever submitted it. NotFoundError."""
        if job := self._jobs.get(id_):
            return job
        return await self.off_loop(lambda: self._find(id_))

    async def view(self, id_: str) -> JobView:
        """The state of a job as clients see it. NotFoundError."""
        return self.view_of(await self.job(id_))

    def view_of(self, job: PictureJob) -> JobView:
        """The same of a job at hand."""
        return view_of(job, *self.outlook(job))

    async def jobs(
        self, states: Sequence[JobState] = (), limit: int = 50, offset: int = 0
    ) -> tuple[list[PictureJob], int]:
        """A page of jobs, newest first, and how many there are in all."""
        found, total = await self.off_loop(lambda: self._listed(states, limit, offset))
        return [self._jobs.get(job.id, job) for job in found], total

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
        """A finished picture. NotFoundError; NotFinishedError says why there is none."""
        item = self.item(await self.job(id_), number)
        if item.state != "finished":
            raise NotFinishedError(item.error or f"picture {number} is {item.state}")
        picture = await self.off_loop(lambda: self.store.read(item.key))
        if picture is None:
            raise NotFoundError(f"picture {number} of {id_[:40]} is no longer in the store")
        return picture

    def preview(self, job: PictureJob) -> NDArray[np.uint8] | None:
        """(H, W, 3) the newest rough picture of a job; asking for one has more made for a while."""
        job.peeked = time.monotonic() + _PEEK
        return job.preview

    async def cancel(self, id_: str) -> bool:
        """Give up what is not finished; whether there was anything. Rows are free at the next network call."""
        job = await self.job(id_)
        return await self.off_loop(lambda: self._cancel(job))

    async def set_priority(self, id_: str, priority: int) -> PictureJob:
        """Move what still waits of a job; larger is sooner."""
        job = await self.job(id_)
        await self.off_loop(lambda: self._set_priority(job, priority))
        return job

    async def network(self, model: str) -> Network:
        """An open model, for what it says of itself. UnknownModelError; QueueFullError where it has no room now."""
        return await self.off_loop(lambda: self._network(model))

    def item(self, job: PictureJob, number: int) -> JobItem:
        """A picture of a job. NotFoundError."""
        if not 0 <= number < len(job.items):
            raise NotFoundError(f"{job.id} has pictures 0 to {len(job.items) - 1}")
        return job.items[number]

    def counts(self) -> tuple[int, int]:
        """Pictures that are drawn now, and those that wait."""
        with self._door:
            drawn = sum(i.future is not None for job in self._jobs.values() for i in job.items)
            return drawn, len(self.queue)

    def outlook(self, job: PictureJob) -> tuple[int | None, float | None]:
        """Pictures before its first one in the queue, and seconds until its end, where they can be told."""
        if job.ended is not None:
            return None, 0.0
        with self._door:
            waits = any(item.state == "queued" for item in job.items)
            place, cost = self.queue.ahead(job) if waits else (0, 0.0)
            cost += sum(_left(i) for j in self._jobs.values() for i in j.items if i.state == "running")
            cost += sum(item.cost for item in job.items if item.state == "queued")
        paces = [host.seconds_a_cost for host in self.hosts.loaded() if host.seconds_a_cost]
        return place if waits else None, cost * max(paces) if paces else None

    # From start to stop.

    def start(self) -> None:
        """Take up what an earlier process left, and begin to draw."""
        for job in self.journal.unfinished():
            left = [item for item in job.items if item.state == "queued"]
            if not left:  # it was killed between the last picture and the job's own line
                job.ended = time.time()
                self.journal.settle(job, [])
                continue
            self._jobs[job.id] = job
            self.queue.push(job, left)
            job.log.add("queued", {"again": True})
        self._dispatcher.start()

    def drain(self) -> None:
        """Refuse new jobs and start no more pictures; returns when those being drawn are finished. Any thread."""
        self.draining = True
        self._dispatcher.stop()
        with self._door:
            self._door.wait_for(
                lambda: not any(i.future is not None for j in self._jobs.values() for i in j.items)
            )
        for job in tuple(self._jobs.values()):
            job.log.close()

    def stop(self) -> None:
        """End: finish what engines have, write it down, close everything."""
        self.drain()
        self.hosts.close(drain=True)
        self._keeper.shutdown()
        self._threads.shutdown()
        self.journal.close()
        self.store.close()

    # On threads of our own.

    def _submit(
        self,
        requests: Sequence[tuple[str, Request]],
        client: str,
        options: JobOptions,
        priority: int,
        idempotency: str,
    ) -> PictureJob:
        if self.draining:
            raise DrainingError("the server is going down; submit again when it is back")
        asked = _digest(requests, options) if idempotency else ""
        if idempotency and (same := self._of_key(client, idempotency, asked)):
            return same
        self._check_room(client, len(requests))
        items = [self._item(number, *one) for number, one in enumerate(requests)]
        job = PictureJob(client, items, options, priority, idempotency=idempotency, asked=asked)
        try:
            self.journal.add(job)
        except ConflictError:  # a retry that came at the same time was first
            if same := self._of_key(client, idempotency, asked):
                return same
            raise
        job.log.add("queued", {"total": len(items)}, slot="queued")
        with self._door:
            self._jobs[job.id] = job
            self.queue.push(job, items)
            self._door.notify_all()
        return job

    def _of_key(self, client: str, key: str, asked: str) -> PictureJob | None:
        found = self.journal.of_key(client, key)
        if found and found[1] != asked:
            raise ConflictError("this idempotency key was used for other pictures; take a new one")
        return (self._jobs.get(found[0]) or self._find(found[0])) if found else None

    def _check_room(self, client: str, pictures: int) -> None:
        with self._door:
            most, own = self.settings.max_queue, self.queue.waiting(client) + pictures
            there = len(self.queue) + pictures
        paces = [host.seconds_a_cost for host in self.hosts.loaded() if host.seconds_a_cost]
        if there > most or (own > pictures and own > max(1, int(most * _SHARE))):
            again = min(60.0, (there - most) * 20 * max(paces, default=0.1))
            raise QueueFullError(f"{most} pictures can wait here; ask again later", retry_after=again)

    def _item(self, number: int, model: str, request: Request) -> JobItem:
        """Checked against its model, where that is open or has room; else when its turn comes."""
        check_limits(request, self.settings)
        item = JobItem(number, model, request, request.steps)
        host = self.hosts.acquire(model)
        if host is not None:
            try:
                plan = host.check(request)
                item.evaluations, item.cost = plan.evaluations, host.cost(request, plan)
            finally:
                self.hosts.release(host)
        return item

    def _find(self, id_: str) -> PictureJob:
        job = self.journal.find(id_) if id_.startswith("job-") and len(id_) < 40 else None
        if job is None:
            raise NotFoundError(f"there is no job {id_[:40]!r}")
        return self._jobs.get(id_, job)

    def _listed(self, states: Sequence[JobState], limit: int, offset: int) -> tuple[list[PictureJob], int]:
        """Running ones are written down as queued."""
        with self._door:
            running = [job for job in self._jobs.values() if job.state == "running"]
        if set(states) == {"running"}:
            running.sort(key=lambda job: -job.created)
            return running[offset : offset + limit], len(running)
        without = [job.id for job in running] if "queued" in states and "running" not in states else []
        written = {state: "queued" if state == "running" else state for state in states}
        return self.journal.listed(list(written.values()), limit, offset, without)

    def _cancel(self, job: PictureJob) -> bool:
        with self._door:
            if job.ended is not None:
                return False
            job.cancelled = True
            waiting = self.queue.remove(job)
            for item in waiting:
                item.state = "cancelled"
            futures = [item.future for item in job.items if item.future is not None]
        stopped = [future.cancel() for future in futures]
        if waiting:
            self._written(job, waiting)
        return bool(waiting) or any(stopped)

    def _set_priority(self, job: PictureJob, priority: int) -> None:
        with self._door:
            waiting = self.queue.remove(job)
            job.priority = priority
            self.queue.push(job, waiting)
            self._door.notify_all()
        self.journal.set_priority(job)

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

    # On the dispatcher's thread and those of engines.

    def _begin(self, ticket: Ticket, host: EngineHost) -> Future[Picture] | None:
        """What there is without drawing: nothing where it was cancelled, and what the store has."""
        ready = Future[Picture]()
        if ticket.job.cancelled:
            ready.cancel()
            return ready
        options, network = ticket.job.options, host.network
        if not (options.trace or options.attention):
            key = key_of(ticket.item.request, network.digest, host.mode, precision_of(network))
            if picture := self.store.read(key):
                ready.set_result(picture)
                return ready
        ticket.job.log.add("started", {"number": ticket.item.number}, slot=("step", ticket.item.number))
        return None

    def _step(self, ticket: Ticket, host: EngineHost, progress: Progress) -> None:
        item, log = ticket.item, ticket.job.log
        item.done, item.evaluations = progress.done, progress.total
        every, peeked = ticket.job.options.preview, time.monotonic() < ticket.job.peeked
        if not (log.followers or peeked):
            return
        pixels = None
        wanted = peeked or (every and progress.done % every == 0)
        if wanted and isinstance(host.network, SupportsPreview):
            pixels = ticket.job.preview = host.network.preview(progress.x0[None])[0]
        news = {"number": item.number, "step": progress.done, "of": progress.total}
        log.add("step", news, slot=("step", item.number), preview=pixels)

    def _settle_later(self, ticket: Ticket, host: EngineHost | None, future: Future[Picture]) -> None:
        self._keeper.submit(self._settle, ticket, host, future)

    def _settle(self, ticket: Ticket, host: EngineHost | None, future: Future[Picture]) -> None:
        job, item = ticket.job, ticket.item
        key, error, seconds = "", "", 0.0
        state: JobState = "cancelled"
        if not future.cancelled():
            try:
                picture = future.result()
                seconds, key, state = picture.provenance.seconds, self.store.put(picture), "finished"
            except MezzotintError as failure:
                error, state = str(failure), "failed"
            except Exception as failure:  # of the disk, say; nobody may wait for ever
                error, state = f"{type(failure).__name__}: {str(failure)[:300]}", "failed"
        with self._door:
            item.key, item.error, item.seconds, item.state = key, error, seconds, state
            if state == "finished":
                item.done = item.evaluations
                if host is not None:
                    host.cost_done += item.cost
        self._written(job, [item])

    def _written(self, job: PictureJob, items: list[JobItem]) -> None:
        """Write down how pictures ended, then tell."""
        with self._door:
            if job.ended is None and all(item.state in ENDED for item in job.items):
                job.ended = time.time()
            last = job.ended is not None
        self.journal.settle(job, items)
        for item in items:
            news: dict[str, Any] = {"number": item.number, "seed": item.request.seed}
            if item.error:
                news["error"] = item.error
            if item.state == "finished":
                news |= {"url": f"/v1/pictures/{job.id}/images/{item.number}", "key": item.key}
            job.log.add(item.state, news)
        if last:
            job.log.add("done", {"state": job.state}, last=True)
        with self._door:
            for item in items:
                item.future = None
            self._forget()
            self._door.notify_all()

    def _forget(self) -> None:
        ended = [id_ for id_, job in self._jobs.items() if job.ended is not None]
        for id_ in ended[:-_REMEMBERED]:
            del self._jobs[id_]

    async def off_loop(self, work: Callable[[], _T]) -> _T:
        """What `work` returns, computed on a thread of the service."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _left(item: JobItem) -> float:
    return item.cost * (1 - item.done / max(1, item.evaluations))


def _digest(requests: Sequence[tuple[str, Request]], options: JobOptions) -> str:
    text = "\n".join(f"{model} {request.to_json()}" for model, request in requests)
    return hashlib.sha256(f"{options}\n{text}".encode()).hexdigest()


def _opener(settings: ServeSettings) -> OpenNetwork:
    from mezzotint.models import open_model

    return lambda source: open_model(source, settings.runtime, settings.precision)
