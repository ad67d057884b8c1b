"""Recipes for the page and for programs: of a picture drawn here, of any picture's file, and the values of axes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from mezzotint.recall import recall
from mezzotint.serve.deps import ServiceDep
from mezzotint.serve.orders import Axes, axis_values
from mezzotint.serve.uploads import with_file
from mezzotint.serve.views import ErrorView

router = APIRouter(
    prefix="/v1",
    tags=["recipes"],
    responses={400: {"model": ErrorView, "description": "It cannot be read; the message says why."}},
)


class PictureRecipe(BaseModel):
    """What decides a picture, and how it was made."""

    request: dict[str, Any]
    provenance: dict[str, Any]


class RecalledRecipe(BaseModel):
    """What a picture's file tells: fields of a request, and what was guessed or is not known here."""

    tool: str
    model: str
    fields: dict[str, Any]
    guessed: list[str]
    unknown: list[str]


@router.get("/pictures/{id}/images/{number}/recipe")
async def recipe(
    id: Annotated[str, Field(max_length=40)],
    number: Annotated[int, Field(ge=0, le=10**9)],
    service: ServiceDep,
) -> PictureRecipe:
    """The recipe of a finished picture."""
    picture = await service.picture(id, number)
    request: dict[str, Any] = json.loads(picture.request.to_json())
    return PictureRecipe(request=request, provenance=asdict(picture.provenance))


@router.post("/recall", openapi_extra={"requestBody": {"required": True, "content": {"image/*": {}}}})
async def recall_picture(request: Request, service: ServiceDep) -> RecalledRecipe:
    """The recipe inside a picture, as the body: ours, AUTOMATIC1111's, ComfyUI's and others'."""
    data = await request.body()
    return await service.off_loop(lambda: _recall(data))


@router.post("/axes")
async def axes(given: Axes) -> dict[str, list[Any]]:
    """The values that the texts of axes stand for, such as `1..20`, `1-20 (+1)` or `a, b, c`."""
    return {name[:100]: axis_values(name, values) for name, values in given.items()}


def _recall(data: bytes) -> RecalledRecipe:
    found = with_file(data, ".picture", recall)
    return RecalledRecipe(
        tool=found.tool,
        model=found.model,
        fields={name: value for name, value in found.fields.items() if value not in (None, "")},
        guessed=list(found.guessed),
        unknown=list(found.unknown),
    )
