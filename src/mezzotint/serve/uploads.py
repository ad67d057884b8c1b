"""Files that clients bring: pictures and masks to start from, adapters and words where the owner allows them."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query, Request, Response
from PIL import Image
from pydantic import BaseModel, Field

from mezzotint import library
from mezzotint.errors import MezzotintError
from mezzotint.serve.deps import ServiceDep
from mezzotint.serve.errors import ForbiddenError, ServeError, TooLargeError
from mezzotint.serve.service import PictureService
from mezzotint.serve.views import ErrorView

_T = TypeVar("_T")
_BODY = {"requestBody": {"required": True, "content": {"application/octet-stream": {}, "image/*": {}}}}
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

router = APIRouter(
    prefix="/v1",
    tags=["uploads"],
    responses={
        400: {"model": ErrorView, "description": "It cannot be read; the message says what it should be."},
        403: {"model": ErrorView, "description": "The owner takes no adapters and words."},
        413: {"model": ErrorView, "description": "It has too many bytes."},
    },
)


class UploadView(BaseModel):
    """A picture that is kept: requests name it by its digest, as `init` or `mask`."""

    digest: str
    width: int
    height: int


class AdapterView(BaseModel):
    """An adapter that is kept: requests name it in `lora`."""

    digest: str


class WordView(BaseModel):
    """A word that is kept: requests name it in `words`, as `WORD=DIGEST`."""

    word: str
    digest: str


def keep_picture(data: bytes) -> UploadView:
    """Take a PNG, JPEG or WebP file into the library; its size is read from the header before it is decoded."""
    digest = with_file(data, ".bin", library.keep)
    height, width, _ = library.pixels(digest).shape
    return UploadView(digest=digest, width=width, height=height)


@router.post("/uploads", status_code=201, openapi_extra=_BODY)
async def upload(request: Request, service: ServiceDep) -> UploadView:
    """Bring a picture or a mask, as the body: PNG, JPEG or WebP. The same picture has the same digest everywhere."""
    data = await _body(request, service)
    return await service.off_loop(lambda: keep_picture(data))


@router.get("/uploads/{digest}", response_class=Response, responses={200: {"content": {"image/png": {}}}})
async def uploaded(digest: Digest, service: ServiceDep) -> Response:
    """A picture that was brought, as PNG."""

    def encoded() -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(library.pixels(digest)).save(buffer, "PNG")
        return buffer.getvalue()

    return Response(await service.off_loop(encoded), media_type="image/png")


@router.post("/adapters", status_code=201, openapi_extra=_BODY)
async def adapter(request: Request, service: ServiceDep) -> AdapterView:
    """Bring a LoRA file, as the body: safetensors only."""
    from mezzotint.models import keep_lora

    _allowed(service)
    data = await _body(request, service)
    return AdapterView(digest=await service.off_loop(lambda: with_file(data, ".safetensors", keep_lora)))


@router.post("/words", status_code=201, openapi_extra=_BODY)
async def word(
    request: Request,
    service: ServiceDep,
    name: Annotated[
        str, Query(max_length=100, description="How prompts say it; else as the file does.")
    ] = "",
) -> WordView:
    """Bring a new word of textual inversion, as the body: safetensors only."""
    from mezzotint.models import keep_word

    _allowed(service)
    data = await _body(request, service)
    kept = await service.off_loop(lambda: with_file(data, ".safetensors", lambda path: keep_word(path, name)))
    return WordView(word=kept.name, digest=kept.digest)


def _allowed(service: PictureService) -> None:
    if not service.settings.allow_adapters:
        raise ForbiddenError(
            "this server takes no adapters and words; its owner allows it with --allow-adapters"
        )


async def _body(request: Request, service: PictureService) -> bytes:
    """The guard bounds what is read; here it is the owner's own bound for files."""
    data = await request.body()
    if len(data) > service.settings.max_upload:
        raise TooLargeError(f"a file may have {service.settings.max_upload} bytes, this has {len(data)}")
    return data


def with_file(data: bytes, ending: str, keep: Callable[[Path], _T]) -> _T:
    """What `keep` makes of a file with this content. ServeError tells no path of this machine."""
    with tempfile.NamedTemporaryFile(suffix=ending) as file:
        file.write(data)
        file.flush()
        try:
            return keep(Path(file.name))
        except MezzotintError as error:
            raise ServeError(str(error).replace(file.name, "the upload")) from None
