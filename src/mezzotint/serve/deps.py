"""What routes ask for: the service, and who is asking."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from mezzotint.serve.access import CLIENT
from mezzotint.serve.service import PictureService


def service_of(request: Request) -> PictureService:
    """The service of the app."""
    service: PictureService = request.app.state.service
    return service


def client_of(request: Request) -> str:
    """Whose turn a submission counts for: the token's name, else the address."""
    client: str = request.scope[CLIENT]
    return client


ServiceDep = Annotated[PictureService, Depends(service_of)]
ClientDep = Annotated[str, Depends(client_of)]
