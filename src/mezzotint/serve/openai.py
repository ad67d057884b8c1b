"""OpenAI's face: `/v1/images/*` and `/v1/models`, as the `openai` package and other open servers speak them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, UploadFile
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse

from mezzotint.serve import foreign
from mezzotint.serve.deps import ClientDep, ServiceDep
from mezzotint.serve.errors import ServeError
from mezzotint.serve.foreign import ForeignRequest
from mezzotint.serve.images import Format, encode_picture, encode_preview
from mezzotint.serve.jobs import JobOptions, PictureJob
from mezzotint.serve.pictures import wait_for_job
from mezzotint.serve.service import PictureService

router = APIRouter(prefix="/v1", tags=["openai"])
STRENGTH = {"edit": 0.75, "variation": 0.6}
"""Of image to image without a mask."""
_UNUSED: dict[str, tuple[Any, ...]] = {  # and the values at which they ask for nothing
    "background": (None, "auto", "opaque"),
    "style": (None,),
    "quality": (None, "auto", "standard", "low", "medium", "high", "xhigh", "max", "hd"),
    "moderation": (None, "auto", "low"),
    "input_fidelity": (None, "low"),
}


class ImageOrder(BaseModel):
    """What generations, edits and variations have in common."""

    model_config = ConfigDict(extra="allow")

    prompt: str = Field("", max_length=10_000)
    model: str | None = Field(None, max_length=200)
    n: int | None = Field(1, ge=1, le=10)
    size: str | None = Field(None, max_length=20)
    response_format: Literal["url", "b64_json"] | None = None
    output_format: Format | None = None
    output_compression: int | None = Field(None, ge=0, le=100)
    stream: bool | None = False
    partial_images: int | None = Field(None, ge=0, le=3)
    negative_prompt: str | None = Field(None, max_length=10_000)
    num_inference_steps: int | None = Field(None, ge=1, le=2000)
    guidance_scale: float | None = Field(None, ge=-1000, le=1000, allow_inf_nan=False)
    true_cfg_scale: float | None = Field(None, ge=-1000, le=1000, allow_inf_nan=False)
    seed: int | None = Field(None, ge=-1, le=2**63 - 1)
    strength: float | None = Field(None, ge=0, le=1)
    user: str | None = Field(None, max_length=1000)


@router.get("/models")
async def models(service: ServiceDep) -> dict[str, Any]:
    """The models that are served."""
    listed = [
        {"id": name, "object": "model", "created": 0, "owned_by": "mezzotint"}
        for name in service.settings.sources
    ]
    return {"object": "list", "data": listed}


@router.get("/models/{name:path}")
async def model(name: Annotated[str, Field(max_length=200)], service: ServiceDep) -> dict[str, Any]:
    """One of them."""
    return {"id": foreign.model_of(service, name), "object": "model", "created": 0, "owned_by": "mezzotint"}


@router.post("/images/generations")
async def generations(order: ImageOrder, request: Request, service: ServiceDep, client: ClientDep) -> Any:
    """Pictures from a prompt."""
    if not order.prompt.strip():
        raise ServeError("prompt is missing")
    name, translation = await _translate(order, service)
    return await _answer(order, name, translation, request, service, client, "image_generation")


@router.post("/images/edits")
async def edits(
    request: Request,
    service: ServiceDep,
    client: ClientDep,
    prompt: Annotated[str, Form(max_length=10_000)],
    image: Annotated[list[UploadFile] | None, File()] = None,
    images: Annotated[list[UploadFile] | None, File(alias="image[]")] = None,
    mask: Annotated[UploadFile | None, File()] = None,
) -> Any:
    """A picture drawn anew after a prompt: where the mask is transparent, else all of it."""
    given = [*(image or []), *(images or [])]
    if not given:
        raise ServeError("image is missing")
    order = ImageOrder.model_validate({**await _form(request), "prompt": prompt})
    name, translation = await _translate(order, service)
    await _start(translation, order, service, given, mask, STRENGTH["edit"])
    return await _answer(order, name, translation, request, service, client, "image_edit")


@router.post("/images/variations")
async def variations(
    request: Request, service: ServiceDep, client: ClientDep, image: Annotated[UploadFile, File()]
) -> Any:
    """Pictures like one: image to image without a prompt."""
    order = ImageOrder.model_validate(await _form(request))
    name, translation = await _translate(order, service)
    await _start(translation, order, service, [image], None, STRENGTH["variation"])
    return await _answer(order, name, translation, request, service, client, "image_generation")


async def _form(request: Request) -> dict[str, Any]:
    """The text fields of a form, as JSON would have them."""
    fields = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    return {name: value == "true" if value in ("true", "false") else value for name, value in fields.items()}


async def _translate(order: ImageOrder, service: PictureService) -> tuple[str, ForeignRequest]:
    """The served name, and the request's fields with what is to be said of them."""
    name = foreign.model_of(service, order.model)
    network = await service.network(name)
    fields: dict[str, Any] = {
        **await service.defaults(name),
        "seed": foreign.seed_of(order.seed, order.n or 1),
    }
    if network.reads_text:
        fields["prompt"] = order.prompt
        if order.negative_prompt:
            fields["negative_prompt"] = order.negative_prompt
    if order.num_inference_steps:
        fields["steps"] = order.num_inference_steps
    scale = order.true_cfg_scale if order.true_cfg_scale is not None else order.guidance_scale
    if scale is not None and network.reads_text:
        fields["guidance"] = foreign.guidance_of(scale)
    translation = ForeignRequest(fields)
    foreign.warn_of_unknown(translation, order.model_extra or {}, _UNUSED)
    known = {*_UNUSED, "image", "image[]", "mask", "extra_body"}
    translation.warnings += [
        f"{extra[:100]} is unknown and was left out"
        for extra in order.model_extra or {}
        if extra not in known
    ]
    if order.size and order.size != "auto":
        width, _, height = order.size.lower().partition("x")
        if not (width.isdecimal() and height.isdecimal()):
            raise ServeError("size must be auto or WIDTHxHEIGHT, such as 512x512")
        foreign.fit_size(translation, int(width), int(height), network)
    return name, translation


async def _start(
    translation: ForeignRequest,
    order: ImageOrder,
    service: PictureService,
    given: list[UploadFile],
    mask: UploadFile | None,
    strength: float,
) -> None:
    """The picture to start from, and the mask: there its transparent part is drawn anew, here the white one."""
    data, hole = await given[0].read(), await mask.read() if mask else None
    if len(given) > 1:
        translation.warnings.append("only the first image is used")

    def keep() -> tuple[str, str]:
        first = foreign.open_image(data, "image")
        ground = Image.new("RGBA", first.size, "white")
        ground.alpha_composite(first)
        if hole is None:
            return foreign.keep_image(ground.convert("RGB")), ""
        alpha = foreign.open_image(hole, "mask")
        if alpha.size != first.size:
            raise ServeError(
                f"mask is {alpha.width}x{alpha.height}, the image {first.width}x{first.height}; make them the same size"
            )
        white = alpha.getchannel("A").point(lambda value: 255 if value < 128 else 0)
        if white.getextrema() == (0, 0):
            raise ServeError("mask has no transparent part, so nothing would be drawn anew")
        return foreign.keep_image(ground.convert("RGB")), foreign.keep_image(white.convert("RGB"))

    fields = translation.fields
    fields["init"], fields["mask"] = await service.off_loop(keep)
    wanted = order.strength if order.strength is not None else 1.0 if hole else strength
    fields["begin"] = foreign.begin_of(wanted, fields.get("steps", 25))


async def _answer(
    order: ImageOrder,
    name: str,
    translation: ForeignRequest,
    request: Request,
    service: PictureService,
    client: str,
    kind: str,
) -> Any:
    count = order.n or 1
    partial = order.partial_images or 0
    requests = translation.requests(name, count)
    options = JobOptions(
        preview=max(1, requests[0][1].steps // (partial + 1)) if order.stream and partial else 0
    )
    job = await service.submit(requests, client, options=options)
    if order.stream:
        return EventSourceResponse(_stream(service, job, order, kind, partial), ping=15)
    await wait_for_job(service, job, request, keep=False)
    data = []
    for number in range(count):
        item = job.items[number]
        if order.response_format == "url":
            await service.picture(job.id, number)
            shown: dict[str, Any] = {"url": f"{request.base_url}v1/pictures/{job.id}/images/{number}"}
        else:
            shown = {"b64_json": await _encode_base64(service, job, number, order)}
        data.append({**shown, "revised_prompt": item.request.prompt, "seed": item.request.seed})
    size = await _size(service, job)
    return {
        "created": int(job.created), "data": data, "background": "opaque", "output_format": order.output_format or "png",
        "quality": "auto", "size": size, "usage": _usage(), "warnings": translation.warnings,
    }  # fmt: skip


async def _stream(
    service: PictureService, job: PictureJob, order: ImageOrder, kind: str, partial: int
) -> AsyncIterator[ServerSentEvent]:
    """Rough pictures, then each finished one. Whoever hangs up gives the job up."""
    common = {"background": "opaque", "output_format": order.output_format or "png", "quality": "auto"}
    shown = 0
    try:
        async for event in service.follow(job.id):
            if event.kind == "step" and event.preview is not None and shown < partial:
                rough = base64.b64encode(encode_preview(event.preview)).decode()
                height, width = event.preview.shape[:2]
                more = {"partial_image_index": shown, "size": f"{width}x{height}", "b64_json": rough}
                shown += 1
                yield _event(f"{kind}.partial_image", {**common, **more, "output_format": "jpeg"})
            if event.kind == "finished":
                number = int(event.data["number"])
                done = {"b64_json": await _encode_base64(service, job, number, order), "usage": _usage()}
                yield _event(
                    f"{kind}.completed", {**common, **done, "size": await _size(service, job, number)}
                )
            if event.kind == "failed":
                yield _event("error", {"error": {"message": event.data.get("error", "it failed"), "type": "server_error",
                                                 "param": None, "code": None}})  # fmt: skip
    finally:
        if job.ended is None:
            await service.cancel(job.id)


def _event(kind: str, data: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(
        data=json.dumps({"type": kind, "created_at": int(time.time()), **data}), event=kind
    )


async def _encode_base64(service: PictureService, job: PictureJob, number: int, order: ImageOrder) -> str:
    picture = await service.picture(job.id, number)
    quality = 100 if order.output_compression is None else max(1, order.output_compression)
    data = await service.off_loop(lambda: encode_picture(picture, order.output_format or "png", quality))
    return base64.b64encode(data).decode()


async def _size(service: PictureService, job: PictureJob, number: int = 0) -> str:
    picture = await service.picture(job.id, number)
    return f"{picture.image.width}x{picture.image.height}"


def _usage() -> dict[str, Any]:
    """Nothing is counted here; clients need the fields."""
    return {
        "input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "input_tokens_details": {"text_tokens": 0, "image_tokens": 0},
    }  # fmt: skip
