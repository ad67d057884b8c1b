"""Whether the server lives, and whether it takes work."""

from __future__ import annotations

from fastapi import APIRouter, Response

from mezzotint.serve.deps import ServiceDep

router = APIRouter(tags=["operation"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers. Public."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Going down, or the database does not answer."}})
async def readyz(service: ServiceDep, response: Response) -> dict[str, str]:
    """New jobs are taken."""
    if service.draining:
        response.status_code = 503
        return {"status": "draining"}
    if not await service.off_loop(service.journal.alive):
        response.status_code = 503
        return {"status": "no database"}
    return {"status": "ok"}
