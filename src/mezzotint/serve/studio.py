"""The page at `/`: files that lie in `page/`, served as they are."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from mezzotint.serve.errors import NotFoundError

FOLDER = Path(__file__).parent / "page"
FILES = {path.relative_to(FOLDER).as_posix(): path for path in sorted(FOLDER.rglob("*")) if path.is_file()}
"""By the name in the address: nothing else of the disk can be asked for."""
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

router = APIRouter(include_in_schema=False)


@router.get("/")
async def index() -> FileResponse:
    """The studio."""
    return FileResponse(FILES["index.html"], media_type="text/html")


@router.get("/page/{name:path}")
async def file(name: str) -> FileResponse:
    """A script, a style or a picture of the studio."""
    if name not in FILES:
        raise NotFoundError("no such file")
    path = FILES[name]
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return FileResponse(path, media_type=kind, headers={"Cache-Control": "no-cache"})
