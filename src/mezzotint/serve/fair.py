"""Whose picture is next: fair between clients by start-time fair queueing (Goyal et al. 1996)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count

from mezzotint.serve.jobs import JobItem, PictureJob

FORGOTTEN = 10_000  # clients whose share is remembered


@dataclass(frozen=True, eq=False)
class Ticket:
    """One picture that waits."""

    job: PictureJob
    item: JobItem
    number: int  # of arrival


class FairQueue:
    """Pictures that wait. Not safe under threads by itself: the service holds its lock.

    Each client has a clock that runs by the cost of what it was given; whose clock is furthest behind comes next,
    so a long queue of one does not hold up the single picture of another. A client's own pictures come by priority,
    then in order: nobody's priorities hold up others.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, str, str], deque[Ticket]] = {}  # by priority, client and model
        self._clocks: dict[str, float] = {}
        self._now = 0.0
        self._numbers = count()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def waiting(self, client: str) -> int:
        """Pictures of a client."""
        return sum(len(line) for (_, whose, _), line in self._waiting.items() if whose == client)

    def push(self, job: PictureJob, items: Iterable[JobItem]) -> None:
        """Queue pictures of a job, behind the client's others of this priority."""
        for item in items:
            line = self._waiting.setdefault((job.priority, job.client, item.model), deque())
            line.append(Ticket(job, item, next(self._numbers)))
            self._size += 1

    def pop(self, admits: Callable[[JobItem], bool] = lambda item: True) -> Ticket | None:
        """The next one of those that may start now; its cost is put down to its client."""
        found = self._next(self._waiting, self._clocks, self._now, admits)
        if found is None:
            return None
        key, ticket = found
        self._waiting[key].popleft()
        if not self._waiting[key]:
            del self._waiting[key]
        self._size -= 1
        self._now = max(self._clocks.get(key[1], 0.0), self._now)
        self._clocks[key[1]] = self._now + ticket.item.cost
        if len(self._clocks) > FORGOTTEN:
            self._clocks = {who: at for who, at in self._clocks.items() if at > self._now}
        return ticket

    def remove(self, job: PictureJob) -> list[JobItem]:
        """Take out what still waits of a job."""
        gone: list[JobItem] = []
        for key in [key for key in self._waiting if key[1] == job.client]:
            line = self._waiting[key]
            gone += [ticket.item for ticket in line if ticket.job is job]
            left = deque(ticket for ticket in line if ticket.job is not job)
            if left:
                self._waiting[key] = left
            else:
                del self._waiting[key]
        self._size -= len(gone)
        return gone

    def ahead(self, job: PictureJob) -> tuple[int, float]:
        """How many pictures come before the first of this job, and what they cost, if nobody else comes."""
        if not any(ticket.job is job for line in self._waiting.values() for ticket in line):
            return 0, 0.0
        waiting = {key: deque(line) for key, line in self._waiting.items()}
        clocks, now, pictures, cost = dict(self._clocks), self._now, 0, 0.0
        while found := self._next(waiting, clocks, now, lambda item: True):
            key, ticket = found
            if ticket.job is job:
                break
            waiting[key].popleft()
            if not waiting[key]:
                del waiting[key]
            now = max(clocks.get(key[1], 0.0), now)
            clocks[key[1]] = now + ticket.item.cost
            pictures, cost = pictures + 1, cost + ticket.item.cost
        return pictures, cost

    @staticmethod
    def _next(
        waiting: dict[tuple[int, str, str], deque[Ticket]],
        clocks: dict[str, float],
        now: float,
        admits: Callable[[JobItem], bool],
    ) -> tuple[tuple[int, str, str], Ticket] | None:
        best: dict[str, tuple[tuple[int, str, str], Ticket]] = {}  # of each client
        for key, line in waiting.items():
            (priority, client, _), ticket = key, line[0]
            known = best.get(client)
            if not admits(ticket.item):
                continue
            if known is None or (-priority, ticket.number) < (-known[0][0], known[1].number):
                best[client] = key, ticket
        if not best:
            return None
        return min(best.values(), key=lambda b: (max(clocks.get(b[0][1], 0.0), now), b[1].number))
