"""Jobs: what was asked for in one submission, and how far each of its pictures is."""

from __future__ import annotations

import secrets
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mezzotint.picture import Picture
from mezzotint.request import Request
from mezzotint.serve.events import EventLog

JobState = Literal["queued", "running", "finished", "failed", "cancelled"]
ENDED: tuple[JobState, ...] = ("finished", "failed", "cancelled")
MOST_PRIORITY = 10


def new_id() -> str:
    """Made by the server, never from what a client says: 26 characters that nobody guesses."""
    return f"job-{secrets.token_hex(11)}"


@dataclass(frozen=True)
class JobOptions:
    """What a job wants beside its pictures."""

    preview: int = 0  # a rough picture every so many steps, for those who listen; 0: none
    trace: int = 0  # keep x0 of every so many evaluations
    attention: bool = False


@dataclass(eq=False, slots=True)
class JobItem:
    """One picture of a job."""

    number: int  # within the job, from 0
    model: str
    request: Request
    evaluations: int = 0  # network calls in all
    cost: float = 1.0  # rows times latents, 1: one row of the model's own size
    state: JobState = "queued"
    done: int = 0  # evaluations so far
    key: str = ""  # of the store, once finished
    error: str = ""  # why it failed
    seconds: float = 0.0
    future: Future[Picture] | None = None  # while an engine has it
    frames: list[NDArray[np.uint8]] = field(default_factory=list)  # (H, W, 3) of its trace, until it is kept

    @property
    def rows(self) -> float:
        """Rows of the model's own size that it takes of a network call, on average."""
        return self.cost / max(1, self.evaluations)


@dataclass(eq=False)
class PictureJob:
    """A submission. The service alone changes it, under its lock; readers may look at any time."""

    client: str
    items: list[JobItem]
    options: JobOptions = JobOptions()
    priority: int = 0  # larger is sooner
    id: str = field(default_factory=new_id)
    created: float = field(default_factory=time.time)  # Unix seconds
    ended: float | None = None
    idempotency: str = ""  # the client's key
    asked: str = ""  # a digest of what came with that key
    cancelled: bool = False  # asked for; pictures that an engine has follow
    preview: NDArray[np.uint8] | None = None  # (H, W, 3) the newest rough picture
    peeked: float = 0.0  # until then somebody asks for rough pictures; seconds of time.monotonic
    log: EventLog = field(default_factory=EventLog)

    @property
    def state(self) -> JobState:
        """Of the whole: failed where any picture failed, cancelled where any was given up."""
        states = {item.state for item in self.items}
        if states <= set(ENDED):
            return next(state for state in ("failed", "cancelled", "finished") if state in states)
        return "queued" if states == {"queued"} else "running"

    @property
    def evaluations(self) -> int:
        """Network calls in all."""
        return sum(item.evaluations for item in self.items)

    def count(self, *states: JobState) -> int:
        """Pictures in these states."""
        return sum(item.state in states for item in self.items)
