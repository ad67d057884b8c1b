"""The board of jobs: who waits, who is drawn, what became of them; in memory, and written down in the journal."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from mezzotint.errors import OutputError
from mezzotint.request import Request
from mezzotint.serve.errors import ConflictError, DrainingError, NotFoundError, QueueFullError, ServeError
from mezzotint.serve.fair import FairQueue
from mezzotint.serve.hosts import EngineHosts
from mezzotint.serve.jobs import ENDED, JobItem, JobOptions, JobState, PictureJob
from mezzotint.serve.journal import JobJournal

log = logging.getLogger("mezzotint.serve")
_REMEMBERED = 256  # jobs that ended, with their events
_SHARE = 0.75  # of the queue that one client may fill
_EACH = 0.1  # seconds a picture, before any was measured


class JobBoard:
    """Safe under threads. `door` is its lock, on which the dispatcher waits for work."""

    def __init__(self, journal: JobJournal, hosts: EngineHosts, most: int) -> None:
        self.journal, self.queue, self.door = journal, FairQueue(), threading.Condition()
        self.draining = False
        self._hosts, self._most = hosts, most
        self._jobs: dict[str, PictureJob] = {}  # those that go on, and some that ended
        self._drawn: dict[JobItem, PictureJob] = {}  # pictures that left the queue and have not ended
        self._arriving = 0  # pictures that are being checked

    def resume(self) -> None:
        """Take up what an earlier process left."""
        for job in self.journal.unfinished():
            left = [item for item in job.items if item.state == "queued"]
            if not left:  # it was killed between the last picture and the job's own line
                job.ended = time.time()
            self.journal.settle(job, [item for item in job.items if item.state == "failed"])
            if not left:
                continue
            self._jobs[job.id] = job
            self.queue.push(job, left)
            job.log.add("queued", {"again": True}, slot="queued")

    def accept(
        self,
        requests: Sequence[tuple[str, Request]],
        client: str,
        options: JobOptions,
        priority: int,
        idempotency: str,
        asked: str,
        check: Callable[[int, str, Request], JobItem],
    ) -> PictureJob:
        """A new job, written down, or the one that the idempotency key stands for; `asked`: what came with it."""
        if self.draining:
            raise DrainingError("the server is going down; submit again when it is back")
        asked = hashlib.sha256(asked.encode()).hexdigest()
        if idempotency and (same := self._of_key(client, idempotency, asked)):
            return same
        self._reserve(client, len(requests))
        try:
            items = [check(number, *one) for number, one in enumerate(requests)]
            job = PictureJob(client, items, options, priority, idempotency=idempotency, asked=asked)
            self.journal.add(job)
        except ConflictError:  # a retry that came at the same time was first
            if same := self._of_key(client, idempotency, asked):
                return same
            raise
        else:
            job.log.add("queued", {"total": len(items)}, slot="queued")
            with self.door:
                self._jobs[job.id] = job
                self.queue.push(job, items)
                self.door.notify_all()
            return job
        finally:
            with self.door:
                self._arriving -= len(requests)

    def known(self, id_: str) -> PictureJob | None:
        """A job that is in memory."""
        return self._jobs.get(id_)

    def find(self, id_: str) -> PictureJob:
        """A job, also from the journal. NotFoundError."""
        job = self._jobs.get(id_)
        if job is None and id_.startswith("job-") and len(id_) <= 40:
            job = self.journal.find(id_)
        if job is None:
            raise NotFoundError(f"there is no job {id_[:40]!r}")
        return self._jobs.get(id_, job)

    def listed(self, states: Sequence[JobState], limit: int, offset: int) -> tuple[list[PictureJob], int]:
        """A page, newest first, and how many there are in all. The journal calls running ones queued."""
        with self.door:
            running = sorted({job.id: job for job in self._drawn.values()}.values(), key=lambda j: -j.created)
        if set(states) == {"running"}:
            return running[offset : offset + limit], len(running)
        without = [job.id for job in running] if "queued" in states and "running" not in states else []
        written = list({"queued" if state == "running" else state for state in states})
        found, total = self.journal.listed(written, limit, offset, without)
        return [self._jobs.get(job.id, job) for job in found], total

    def cancel(self, job: PictureJob) -> bool:
        """Give up what has not ended; whether there was anything."""
        with self.door:
            if job.ended is not None or job.id not in self._jobs:
                return False
            job.cancelled = True
            waiting = self.queue.remove(job)
            for item in waiting:
                item.state = "cancelled"
            futures = [i.future for i, whose in self._drawn.items() if whose is job and i.future is not None]
        stopped = [future.cancel() for future in futures]
        if waiting:
            self.settle(job, waiting)
        return bool(waiting) or any(stopped)

    def set_priority(self, job: PictureJob, priority: int) -> None:
        """Move what still waits of a job."""
        with self.door:
            waiting = self.queue.remove(job)
            job.priority = priority
            self.queue.push(job, waiting)
            self.door.notify_all()
        self.journal.set_priority(job)

    def draw(self, job: PictureJob, item: JobItem) -> None:
        """A picture has left the queue; under the lock."""
        item.state = "running"
        self._drawn[item] = job

    def settle(self, job: PictureJob, items: Sequence[JobItem]) -> None:
        """Write down how pictures ended, as their states say, then tell."""
        with self.door:
            left = any(item.state not in ENDED for item in job.items)
            if job.ended is None and not left:
                job.ended = time.time()
        try:
            self.journal.settle(job, items)
        except OutputError:  # the disk is full, say: the next start draws again, or finds it in the store
            log.exception("a job's end could not be written down")
        for item in items:
            job.log.add(item.state, _news(job, item), slot=item.number)
        if not left:
            job.log.add("done", {"state": job.state}, last=True)
        with self.door:
            for item in items:
                item.future, item.frames = None, []
                self._drawn.pop(item, None)
            ended = [id_ for id_, known in self._jobs.items() if known.ended is not None]
            for id_ in ended[:-_REMEMBERED]:
                del self._jobs[id_]
            self.door.notify_all()

    def counts(self) -> tuple[int, int]:
        """Pictures that are drawn now, and those that wait."""
        with self.door:
            return len(self._drawn), len(self.queue)

    def outlook(self, job: PictureJob) -> tuple[int | None, float | None]:
        """Pictures before its first one in the queue, and seconds until its end, where they can be told."""
        if job.ended is not None:
            return None, 0.0
        with self.door:
            waiting = [item for item in job.items if item.state == "queued"]
            place, cost = self.queue.ahead(job) if waiting else (None, 0.0)
            cost += sum(_left(item) for item in self._drawn) + sum(item.cost for item in waiting)
        pace = self.pace
        return place, cost * pace if pace else None

    @property
    def pace(self) -> float:
        """Measured seconds a row, of the slowest open model; 0: nothing was measured yet."""
        return max((host.seconds_a_cost or 0.0 for host in self._hosts.loaded()), default=0.0)

    def tell_places(self) -> None:
        """News for those who listen to a job that waits: that its place may have changed."""
        for job in tuple(self._jobs.values()):
            if job.log.followers and job.ended is None and job.state == "queued":
                job.log.add("queued", {"total": len(job.items)}, slot="queued")

    def drain(self, stop: Callable[[], None]) -> None:
        """Take nothing new; `stop` whoever takes from the queue; returns when what is drawn has ended, and so have news."""
        self.draining = True
        stop()
        with self.door:
            self.door.wait_for(lambda: not any(item.future for item in self._drawn))
        for job in tuple(self._jobs.values()):
            job.log.close()

    def _of_key(self, client: str, key: str, asked: str) -> PictureJob | None:
        found = self.journal.of_key(client, key)
        if found and found[1] != asked:
            raise ConflictError("this idempotency key was used for other pictures; take a new one")
        return self.find(found[0]) if found else None

    def _reserve(self, client: str, pictures: int) -> None:
        """Room for pictures. The last quarter is for clients that have nothing waiting yet."""
        if pictures > self._most:
            raise ServeError(f"{pictures} pictures never fit; at most {self._most} wait here")
        with self.door:
            there, own = len(self.queue) + self._arriving, self.queue.waiting(client)
            share = max(1, int(self._most * _SHARE))
            if there + pictures <= self._most and (not own or own + pictures <= share):
                self._arriving += pictures
                return
            drawn = max(1, len(self._drawn))
        wait = (there + pictures - self._most) * (self.pace * 40 or _EACH) / drawn
        raise QueueFullError(f"{self._most} pictures can wait here; ask again later", min(60.0, wait))


def _left(item: JobItem) -> float:
    return item.cost * (1 - item.done / max(1, item.evaluations))


def _news(job: PictureJob, item: JobItem) -> dict[str, Any]:
    news: dict[str, Any] = {"number": item.number, "seed": item.request.seed}
    if item.error:
        news["error"] = item.error
    if item.state == "finished":
        news |= {"url": f"/v1/pictures/{job.id}/images/{item.number}", "key": item.key}
    return news
