"""What happens to a picture between the queue and the store."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from mezzotint.engine import Progress
from mezzotint.engine.network import SupportsPreview
from mezzotint.errors import MezzotintError
from mezzotint.picture import Picture
from mezzotint.serve.beside import Beside
from mezzotint.serve.board import JobBoard
from mezzotint.serve.dispatch import Dispatcher
from mezzotint.serve.fair import Ticket
from mezzotint.serve.hosts import EngineHost, EngineHosts
from mezzotint.serve.jobs import JobState
from mezzotint.store import Store, key_of, precision_of

_SIDE = 512  # pixels of rough pictures, at most


class PictureDrawing:
    """The dispatcher's callbacks. Files are written on a thread of their own, in the order in which pictures come."""

    def __init__(self, board: JobBoard, hosts: EngineHosts, store: Store, beside: Beside) -> None:
        self._board, self._store, self._beside = board, store, beside
        self._keeper = ThreadPoolExecutor(1, "mezzotint-keep")
        self.dispatcher = Dispatcher(board, hosts, self._begin, self._step, self._end)

    def close(self) -> None:
        """Returns when everything is written."""
        self._keeper.shutdown()

    def _begin(self, ticket: Ticket, host: EngineHost) -> Future[Picture] | None:
        """What there is without drawing: nothing where it was cancelled, and what the store has."""
        ready = Future[Picture]()
        if ticket.job.cancelled:
            ready.cancel()
            return ready
        options, network = ticket.job.options, host.network
        if not (options.trace or options.attention):
            key = key_of(ticket.item.request, network.digest, host.mode, precision_of(network))
            if picture := self._store.read(key):
                ready.set_result(picture)
                return ready
        ticket.job.log.add("started", {"number": ticket.item.number}, slot=ticket.item.number)
        return None

    def _step(self, ticket: Ticket, host: EngineHost, progress: Progress) -> None:
        """On the engine's thread, which alone may decode: quick, and nothing where nobody listens."""
        job, item = ticket.job, ticket.item
        item.done, item.evaluations = progress.done, progress.total
        traced, shown = _wanted(ticket, progress)
        if not (traced or shown or job.log.followers):
            return
        pixels = None
        if (traced or shown) and isinstance(host.network, SupportsPreview):
            pixels = job.preview = _small(host.network.preview(progress.x0[None])[0])
            if traced:
                item.frames.append(pixels)
        news = {"number": item.number, "step": progress.done, "of": progress.total}
        job.log.add("step", news, slot=item.number, preview=pixels)

    def _end(self, ticket: Ticket, host: EngineHost | None, future: Future[Picture]) -> None:
        self._keeper.submit(self._keep, ticket, host, future)

    def _keep(self, ticket: Ticket, host: EngineHost | None, future: Future[Picture]) -> None:
        """Keep a picture, then settle its job: what is reported is on the disk."""
        job, item = ticket.job, ticket.item
        state: JobState = "cancelled"
        if not future.cancelled():
            try:
                picture = future.result()
                self._beside.write(job.id, item.number, picture, item.frames)
                item.key, item.seconds = self._store.put(picture), picture.provenance.seconds
                item.done, state = item.evaluations, "finished"
            except MezzotintError as failure:
                item.error, state = str(failure), "failed"
            except Exception as failure:  # of the disk, say; nobody may wait for ever
                item.error, state = f"{type(failure).__name__}: {str(failure)[:300]}", "failed"
        with self._board.door:
            item.state = state
            if host is not None and state == "finished":
                host.cost_done += item.cost
        self._board.settle(job, [item])


def _small(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) every k-th pixel, so that rough pictures stay small however large theirs is."""
    k = -(-max(pixels.shape[:2]) // _SIDE)
    return np.ascontiguousarray(pixels[::k, ::k])


def _wanted(ticket: Ticket, progress: Progress) -> tuple[bool, bool]:
    """Whether a rough picture of this step is for the trace, and for those who listen or ask."""
    options, done = ticket.job.options, progress.done
    traced = bool(options.trace) and (done % options.trace == 0 or done == progress.total)
    listening = bool(ticket.job.log.followers) and bool(options.preview) and done % options.preview == 0
    return traced, listening or time.monotonic() < ticket.job.peeked
