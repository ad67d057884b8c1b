"""Our own API: jobs of pictures under `/v1/pictures`."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse

from mezzotint.serve.deps import ClientDep, ServiceDep
from mezzotint.serve.errors import DrainingError, NotFinishedError
from mezzotint.serve.events import JobEvent
from mezzotint.serve.images import Format, encode_picture, encode_preview, format_of, media_type
from mezzotint.serve.jobs import MOST_PRIORITY, JobOptions, JobState, PictureJob
from mezzotint.serve.orders import PictureOrder
from mezzotint.serve.service import PictureService
from mezzotint.serve.views import CancelView, ErrorView, JobListView, JobView, Pagination

router = APIRouter(
    prefix="/v1/pictures",
    tags=["pictures"],
    responses={
        400: {"model": ErrorView, "description": "It cannot be drawn; the message says what to do."},
        404: {"model": ErrorView, "description": "No such job, picture or model."},
        429: {"model": ErrorView, "description": "The queue is full; Retry-After says when to ask again."},
    },
)
_IMAGE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_IMAGES: dict[int | str, dict[str, Any]] = {
    200: {"content": {f"image/{kind}": _IMAGE for kind in ("png", "webp", "jpeg")}}
}
_SHOWN = 20  # pictures of each job in a list
Id = Annotated[str, Field(max_length=40)]


@router.post("", status_code=202, response_model=JobView, responses={**_IMAGES, 202: {"model": JobView}})
async def submit(
    order: PictureOrder,
    request: Request,
    response: Response,
    service: ServiceDep,
    client: ClientDep,
    wait: Annotated[bool, Query(description="Answer with the picture, once it is there.")] = False,
    format: Annotated[str, Query(max_length=10, description="png, webp or jpeg, with `wait`.")] = "",
    idempotency_key: Annotated[str, Header(max_length=200)] = "",
) -> Any:
    """Ask for pictures. The answer is the job at once, with its cost; with `wait=1` it is the picture.

    A retry with the same `Idempotency-Key` is the same job. Of several pictures, `wait=1` answers with the job.
    """
    kind = format_of(format, request.headers.get("accept", ""))
    requests = await service.requests(order)
    options = JobOptions(order.preview, order.trace, order.attention)
    job = await service.submit(
        requests,
        client,
        options=options,
        priority=order.priority,
        idempotency=idempotency_key,
        asked=order.model_dump_json(),
    )
    if not wait:
        response.headers["Location"] = f"/v1/pictures/{job.id}"
        return await service.view(job)
    await wait_for_job(service, job, request, keep=bool(idempotency_key))
    if len(job.items) > 1:
        response.status_code = 200
        return await service.view(job)
    return await _image(service, job.id, 0, kind)


@router.get("")
async def list_jobs(
    service: ServiceDep,
    status: Annotated[list[JobState], Query(description="Jobs in these states; none: all.")] = [],  # noqa: B006
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> JobListView:
    """Jobs of all clients, newest first, each with its first pictures."""
    jobs, total = await service.jobs(status, limit, offset)
    page = Pagination(offset=offset, limit=limit, total=total, has_more=offset + len(jobs) < total)
    return JobListView(jobs=[await service.view(job, limit=_SHOWN) for job in jobs], pagination=page)


@router.get("/{id}")
async def state(
    id: Id,
    service: ServiceDep,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Of its pictures.")] = 1000,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> JobView:
    """How far a job is."""
    return await service.view(await service.job(id), offset, limit)


class JobChange(BaseModel):
    """What can be changed of a job that waits."""

    model_config = ConfigDict(extra="forbid", strict=True)

    priority: int = Field(ge=-MOST_PRIORITY, le=MOST_PRIORITY)


@router.patch("/{id}")
async def change(id: Id, wanted: JobChange, service: ServiceDep) -> JobView:
    """Let a job come sooner or later."""
    return await service.view(await service.set_priority(id, wanted.priority))


@router.post("/{id}/cancel")
async def cancel(id: Id, service: ServiceDep) -> CancelView:
    """Give up what is not finished. Asking again is no error."""
    return CancelView(id=id, cancelled=await service.cancel(id))


@router.get("/{id}/events", response_class=EventSourceResponse)
async def events(
    id: Id, service: ServiceDep, last_event_id: Annotated[str, Header(max_length=20)] = ""
) -> EventSourceResponse:
    """News as server-sent events: queued, started, step, finished, failed, cancelled, and done, which ends them.

    With `Last-Event-ID` those after it. Steps may be missed; the state of the job is the truth.
    """
    job = await service.job(id)
    after = int(last_event_id) if last_event_id.isascii() and last_event_id.isdecimal() else 0
    return EventSourceResponse(_stream(service, job, after), ping=15)


@router.get("/{id}/images/{number}", responses=_IMAGES, response_class=Response)
async def image(
    id: Id,
    number: Annotated[int, Field(ge=0, le=10**9)],
    request: Request,
    service: ServiceDep,
    format: Annotated[str, Query(max_length=10, description="png, webp or jpeg; else as accepted.")] = "",
    quality: Annotated[int, Query(ge=1, le=100, description="Of WebP (100: lossless) and JPEG.")] = 90,
) -> Response:
    """A finished picture, with its recipe inside."""
    return await _image(service, id, number, format_of(format, request.headers.get("accept", "")), quality)


async def _image(service: PictureService, id_: str, number: int, kind: Format, quality: int = 90) -> Response:
    if kind == "png":
        data = await service.png(id_, number)
    else:
        picture = await service.picture(id_, number)
        data = await service.off_loop(lambda: encode_picture(picture, kind, quality))
    seed = service.item(await service.job(id_), number).request.seed
    headers = {
        "X-Mezzotint-Job": id_,
        "X-Mezzotint-Seed": str(seed),
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Disposition": f'inline; filename="{id_}-{number}.{kind}"',
    }
    return Response(data, media_type=media_type(kind), headers=headers)


async def wait_for_job(service: PictureService, job: PictureJob, request: Request, keep: bool) -> None:
    """Until the job has ended. Whoever hangs up cancels it, unless a retry may come for it."""
    waiting = asyncio.ensure_future(service.wait(job.id))
    while not waiting.done():
        await asyncio.wait({waiting}, timeout=1.0)
        if not waiting.done() and await request.is_disconnected():
            waiting.cancel()
            if not keep:
                await service.cancel(job.id)
            raise NotFinishedError("the client hung up")
    if job.ended is None:
        raise DrainingError(f"the server is going down; {job.id} goes on when it is back")


async def _stream(service: PictureService, job: PictureJob, after: int) -> AsyncIterator[ServerSentEvent]:
    async for event in service.follow(job.id, after):
        yield ServerSentEvent(
            data=json.dumps(await _data(service, job, event)), event=event.kind, id=str(event.id)
        )


async def _data(service: PictureService, job: PictureJob, event: JobEvent) -> dict[str, Any]:
    data = {"job": job.id, **event.data}
    if event.kind == "queued":
        data["place"], data["eta_seconds"] = await service.off_loop(lambda: service.board.outlook(job))
    if event.preview is not None:
        jpeg = encode_preview(event.preview)
        data["preview"] = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    return data
