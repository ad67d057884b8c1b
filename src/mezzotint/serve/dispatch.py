"""From the queue to the engines: a thread that keeps each engine busy, and no more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from mezzotint.engine import Progress
from mezzotint.errors import MezzotintError
from mezzotint.picture import Picture
from mezzotint.serve.board import JobBoard
from mezzotint.serve.fair import Ticket
from mezzotint.serve.hosts import EngineHost, EngineHosts
from mezzotint.serve.jobs import JobItem


class Dispatcher:
    """Gives an engine as many pictures as one network call may have, so that the queue decides who is next.

    `begin` runs on this thread; it may give a future in place of the engine's. `step` and `end` run on engines'
    threads, and `end` on this one for a picture that no engine takes.
    """

    def __init__(
        self,
        board: JobBoard,
        hosts: EngineHosts,
        begin: Callable[[Ticket, EngineHost], Future[Picture] | None],
        step: Callable[[Ticket, EngineHost, Progress], None],
        end: Callable[[Ticket, EngineHost | None, Future[Picture]], None],
    ) -> None:
        self._board, self._hosts, self._door = board, hosts, board.door
        self._begin, self._step, self._end = begin, step, end
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="mezzotint-dispatch", daemon=True)

    def start(self) -> None:
        """Begin to take from the queue."""
        self._thread.start()

    def stop(self) -> None:
        """Take nothing more; returns when the thread has ended."""
        with self._door:
            self._stopped = True
            self._door.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while ticket := self._take():
            self._give(ticket)

    def _take(self) -> Ticket | None:
        """The next picture, as soon as there is one with room; None: stopped."""
        with self._door:
            while not self._stopped:
                if ticket := self._board.queue.pop(self._has_room):
                    self._board.draw(ticket.job, ticket.item)
                    return ticket
                self._door.wait()
        return None

    def _has_room(self, item: JobItem) -> bool:
        host = self._hosts.find(item.model)
        return host is None or host.has_room(item.rows)

    def _give(self, ticket: Ticket) -> None:
        try:
            host = self._acquire(ticket.item)
        except Exception as error:
            return self._fail(ticket, error)
        if host is None:  # stopped while it waited for room
            return
        try:
            if ready := self._begin(ticket, host):
                self._hosts.release(host, ticket.item.rows)
                return self._end(ticket, None, ready)
            future = self._submit(ticket, host)
        except Exception as error:
            self._hosts.release(host, ticket.item.rows)
            return self._fail(ticket, error)
        future.add_done_callback(lambda future: self._ended(ticket, host, future))

    def _submit(self, ticket: Ticket, host: EngineHost) -> Future[Picture]:
        item, options = ticket.item, ticket.job.options
        item.future = host.engine.submit(
            item.request,
            trace=options.trace,
            attention=options.attention,
            on_step=lambda progress: self._step(ticket, host, progress),
        )
        if ticket.job.cancelled:  # meanwhile
            item.future.cancel()
        return item.future

    def _fail(self, ticket: Ticket, error: Exception) -> None:
        """A foreign error is a bug of ours; yet nobody may wait for ever."""
        failed = Future[Picture]()
        ours = isinstance(error, MezzotintError)
        failed.set_exception(error if ours else MezzotintError(f"{type(error).__name__}: {str(error)[:300]}"))
        self._end(ticket, None, failed)

    def _ended(self, ticket: Ticket, host: EngineHost, future: Future[Picture]) -> None:
        self._hosts.release(host, ticket.item.rows)
        self._end(ticket, host, future)
        with self._door:
            self._door.notify_all()

    def _acquire(self, item: JobItem) -> EngineHost | None:
        """The model's host. Where others leave it no room, wait until they have finished what they have."""
        while True:
            if host := self._hosts.acquire(item.model, item.rows):
                return host
            with self._door:
                if self._stopped:
                    return None
                self._door.wait(0.2)
