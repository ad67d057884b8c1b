"""How jobs look from outside, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, Field

from mezzotint.serve.jobs import JobItem, JobState, PictureJob


class PictureView(BaseModel):
    """One picture of a job."""

    number: int = Field(description="Within the job, from 0.")
    state: JobState
    model: str
    seed: int
    request: str = Field(description="The digest of its request.")
    evaluations: int = Field(description="Network calls in all.")
    done: int = Field(description="Network calls so far.")
    seconds: float = 0.0
    key: str = Field(default="", description="Of the store, once it is finished.")
    url: str = Field(default="", description="Where the picture is, once it is finished.")
    error: str = ""


class JobView(BaseModel):
    """The state of a job: the truth, of which events are hints."""

    id: str
    state: JobState
    created: str = Field(description="ISO 8601, UTC.")
    ended: str | None
    priority: int
    total: int = Field(description="Pictures.")
    finished: int
    failed: int
    cancelled: int
    evaluations: int = Field(description="Network calls in all: what the job costs.")
    evaluations_done: int
    place: int | None = Field(
        description="Pictures before its first one in the queue; null: it is not waiting."
    )
    eta_seconds: float | None = Field(description="Until its end; null where nothing was measured yet.")
    pictures: list[PictureView]


class Pagination(BaseModel):
    """Where a page of a list lies."""

    offset: int
    limit: int
    total: int
    has_more: bool


class JobListView(BaseModel):
    """A page of jobs."""

    jobs: list[JobView]
    pagination: Pagination


class CancelView(BaseModel):
    """Whether there was anything to cancel. Asking again is no error."""

    id: str
    cancelled: bool


class ErrorBody(BaseModel):
    """What is wrong, and what to do."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None = None
    code: str | None = None


class ErrorView(BaseModel):
    """The answer to what cannot be done."""

    error: ErrorBody


def view_of(
    job: PictureJob, place: int | None, eta: float | None, items: Sequence[JobItem] | None = None
) -> JobView:
    """What is told of a job; `items`: those of its pictures that are wanted, by default all."""
    return JobView(
        id=job.id,
        state=job.state,
        created=_time(job.created),
        ended=_time(job.ended) if job.ended is not None else None,
        priority=job.priority,
        total=len(job.items),
        finished=job.count("finished"),
        failed=job.count("failed"),
        cancelled=job.count("cancelled"),
        evaluations=job.evaluations,
        evaluations_done=sum(item.done for item in job.items),
        place=place,
        eta_seconds=None if eta is None else round(eta, 3),
        pictures=[_picture(job, item) for item in (job.items if items is None else items)],
    )


def _picture(job: PictureJob, item: JobItem) -> PictureView:
    return PictureView(
        number=item.number,
        state=item.state,
        model=item.model,
        seed=item.request.seed,
        request=item.request.digest,
        evaluations=item.evaluations,
        done=item.done,
        seconds=item.seconds,
        key=item.key,
        url=f"/v1/pictures/{job.id}/images/{item.number}" if item.state == "finished" else "",
        error=item.error,
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
