"""The gallery: finished pictures of all jobs, newest first, searched by their recipe, with stars."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from mezzotint.serve.deps import ServiceDep
from mezzotint.serve.journal import FinishedPicture
from mezzotint.serve.views import ErrorView, Pagination

router = APIRouter(
    prefix="/v1/gallery",
    tags=["gallery"],
    responses={404: {"model": ErrorView, "description": "No such job or picture."}},
)
Id = Annotated[str, Field(max_length=40)]
Number = Annotated[int, Field(ge=0, le=10**9)]


class GalleryPicture(BaseModel):
    """A finished picture."""

    job: str
    number: int
    url: str
    model: str
    prompt: str
    seed: int
    starred: bool


class GalleryView(BaseModel):
    """A page of the gallery."""

    pictures: list[GalleryPicture]
    pagination: Pagination


class StarView(BaseModel):
    """Whether a picture has a star."""

    starred: bool


@router.get("")
async def gallery(
    service: ServiceDep,
    search: Annotated[str, Query(max_length=200, description="Words that the recipe holds.")] = "",
    starred: bool = False,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> GalleryView:
    """Finished pictures, newest first."""
    found, total = await service.off_loop(
        lambda: service.journal.finished_pictures(search, starred, limit, offset)
    )
    page = Pagination(offset=offset, limit=limit, total=total, has_more=offset + len(found) < total)
    return GalleryView(pictures=[_view(one) for one in found], pagination=page)


@router.put("/{id}/{number}/star")
async def star(id: Id, number: Number, service: ServiceDep) -> StarView:
    """Mark a picture. Asking again is no error."""
    return await _set_star(service, id, number, True)


@router.delete("/{id}/{number}/star")
async def unstar(id: Id, number: Number, service: ServiceDep) -> StarView:
    """Take the mark away. Asking again is no error."""
    return await _set_star(service, id, number, False)


async def _set_star(service: ServiceDep, id_: str, number: int, starred: bool) -> StarView:
    item = service.item(await service.job(id_), number)
    await service.off_loop(lambda: service.journal.star(id_, item.number, starred))
    return StarView(starred=starred)


def _view(one: FinishedPicture) -> GalleryPicture:
    return GalleryPicture(
        job=one.job,
        number=one.number,
        url=f"/v1/pictures/{one.job}/images/{one.number}",
        model=one.model,
        prompt=one.request.prompt,
        seed=one.request.seed,
        starred=one.starred,
    )
