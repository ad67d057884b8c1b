"""The inside of a picture, where its job asked for it: trace, attention, and the ledger of gradient terms."""

from __future__ import annotations

import io
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Response
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, Field

from mezzotint.serve.deps import ServiceDep
from mezzotint.serve.errors import NotFoundError
from mezzotint.serve.service import PictureService
from mezzotint.serve.views import ErrorView

router = APIRouter(
    prefix="/v1/pictures/{id}/images/{number}",
    tags=["pictures"],
    responses={404: {"model": ErrorView, "description": "The job did not ask for it, or is not there."}},
)
Id = Annotated[str, Field(max_length=40)]
Number = Annotated[int, Field(ge=0, le=10**9)]
_PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}


class LedgerView(BaseModel):
    """One gradient term at one network call; movements are root mean squares."""

    evaluation: int
    step: int
    term: str
    loss: float
    gradient: float
    moved: float
    cosine: float | None


class TraceView(BaseModel):
    """How a picture came out of noise: frame k is what it would have been after `evaluations[k]`."""

    evaluations: list[int]
    frames: int = Field(description="Rough pictures that can be shown; 0 where the model makes none.")
    channels: int = Field(description="Of the latents.")


class AttentionView(BaseModel):
    """The words of the prompt, and how much of all attention each had."""

    words: list[str]
    shares: list[float]


@router.get("/ledger")
async def ledger(id: Id, number: Number, service: ServiceDep) -> list[LedgerView]:
    """What each gradient term did at each step."""
    picture = await service.picture(id, number)
    return [LedgerView(**entry._asdict()) for entry in picture.ledger]


@router.get("/trace")
async def trace(id: Id, number: Number, service: ServiceDep) -> TraceView:
    """Which frames there are."""
    evaluations = await _array(service, id, number, "trace", "evaluations")
    x0 = await _array(service, id, number, "trace", "x0")
    frames = await service.off_loop(lambda: service.beside.read(id, number, "trace", "frames"))
    return TraceView(
        evaluations=evaluations.tolist(), frames=0 if frames is None else len(frames), channels=x0.shape[1]
    )


@router.get("/trace/{frame}", response_class=Response, responses=_PNG)
async def trace_frame(id: Id, number: Number, frame: Number, service: ServiceDep) -> Response:
    """A rough picture on the way."""
    return await _png(service, await _part(service, id, number, "trace", "frames", frame))


@router.get("/trace/{frame}/channels/{channel}", response_class=Response, responses=_PNG)
async def trace_channel(
    id: Id, number: Number, frame: Number, channel: Number, service: ServiceDep
) -> Response:
    """A channel of the latents on the way, in grays from -3 to 3."""
    x0 = await _part(service, id, number, "trace", "x0", frame)
    if channel >= len(x0):
        raise NotFoundError(f"there are channels 0 to {len(x0) - 1}")
    gray = np.clip((x0[channel] + 3) * (255 / 6), 0, 255).astype(np.uint8)
    return await _png(service, gray)


@router.get("/attention")
async def attention(id: Id, number: Number, service: ServiceDep) -> AttentionView:
    """Which words there are."""
    job = await service.job(id)
    about = await service.off_loop(lambda: service.beside.about(job.id, number, "attention"))
    if about is None:
        raise NotFoundError("its job did not ask for attention, or is not finished")
    return AttentionView(**about)


@router.get("/attention/{word}", response_class=Response, responses=_PNG)
async def attention_heat(id: Id, number: Number, word: Number, service: ServiceDep) -> Response:
    """Where the network looked for a word, by its place in the list: white is most."""
    return await _png(service, await _part(service, id, number, "attention", "heat", word))


async def _part(
    service: PictureService, id_: str, number: int, what: str, name: str, index: int
) -> NDArray[Any]:
    found = await _array(service, id_, number, what, name)
    if index >= len(found):
        raise NotFoundError(f"there are {len(found)} of them, from 0")
    part: NDArray[Any] = found[index]
    return part


async def _array(service: PictureService, id_: str, number: int, what: str, name: str) -> NDArray[Any]:
    job = await service.job(id_)  # what is no job names no file
    found = await service.off_loop(lambda: service.beside.read(job.id, number, what, name))
    if found is None:
        raise NotFoundError(f"its job did not ask for {what}, or is not finished")
    return found


async def _png(service: PictureService, pixels: NDArray[Any]) -> Response:
    def encoded() -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    return Response(await service.off_loop(encoded), media_type="image/png")
