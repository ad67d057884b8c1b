"""News of a job, for any number of listeners. They are hints: the state of the job is the truth."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 2000  # events that a job keeps for those who come back


@dataclass(frozen=True, eq=False)
class JobEvent:
    """`kind`: queued, step, finished, failed, cancelled, or done, which is the last of a job."""

    id: int  # counts up, beyond those of any earlier process
    kind: str
    data: dict[str, Any]  # JSON
    preview: NDArray[np.uint8] | None = field(default=None, repr=False)  # (H, W, 3)


class EventLog:
    """The events of one job, oldest first. Any thread may add; followers may live in any event loop.

    Of the events with one `slot` only the newest is kept, such as a picture's last: a slow listener misses steps, and
    memory stays bounded.
    """

    def __init__(self) -> None:
        self._events: dict[tuple[str, str | int], JobEvent] = {}
        self._last, self._closed = time.time_ns() // 1_000_000, False
        self._door = threading.Lock()
        self._followers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @property
    def followers(self) -> int:
        """How many listen now."""
        return len(self._followers)

    def add(
        self,
        kind: str,
        data: dict[str, Any],
        *,
        slot: str | int | None = None,
        preview: NDArray[np.uint8] | None = None,
        last: bool = False,
    ) -> None:
        """Tell everybody; `last` ends the log, and what comes after it is dropped."""
        with self._door:
            if self._closed:
                return
            self._last += 1
            event = JobEvent(self._last, kind, data, preview)
            key = ("event", self._last) if slot is None else ("slot", slot)
            self._events.pop(key, None)
            self._events[key] = event
            if len(self._events) > MOST:
                del self._events[next(iter(self._events))]
            self._closed = last
        self._wake()

    def close(self) -> None:
        """End the log without an event: the server is going down."""
        self._closed = True
        self._wake()

    def since(self, after: int) -> list[JobEvent]:
        """Those with a larger id, oldest first."""
        with self._door:
            new = []
            for event in reversed(self._events.values()):
                if event.id <= after:
                    break
                new.append(event)
        return new[::-1]

    async def follow(self, after: int = 0) -> AsyncIterator[JobEvent]:
        """Those with a larger id, and those that come, until the last."""
        me = (asyncio.get_running_loop(), asyncio.Event())
        self._followers.add(me)
        try:
            while True:
                me[1].clear()
                closed = self._closed  # before `since`, so that the last event is not missed
                for event in self.since(after):
                    after = event.id
                    yield event
                if closed:
                    return
                await me[1].wait()
        finally:
            self._followers.discard(me)

    def _wake(self) -> None:
        for loop, event in tuple(self._followers):
            with suppress(RuntimeError):  # that loop is closed
                loop.call_soon_threadsafe(event.set)
