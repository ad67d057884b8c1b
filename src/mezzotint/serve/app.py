"""The app: routes, what guards them, and the service behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mezzotint import __version__
from mezzotint.config import describe_errors
from mezzotint.errors import MezzotintError, OutputError
from mezzotint.serve import (
    a1111,
    a1111_about,
    capabilities,
    gallery,
    health,
    inside,
    login,
    metrics,
    openai,
    pictures,
    recipes,
    studio,
    uploads,
)
from mezzotint.serve.access import Gate
from mezzotint.serve.answers import error_response
from mezzotint.serve.errors import ServeError
from mezzotint.serve.headers import BodyLimit, SecurityHeaders
from mezzotint.serve.hosts import OpenNetwork
from mezzotint.serve.logs import AccessLog
from mezzotint.serve.orders import PictureOrder
from mezzotint.serve.service import PictureService
from mezzotint.serve.settings import ServeSettings
from mezzotint.serve.tokens import AccessTokens

ROUTERS = (  # the faces: a file each, and a line here
    health.router,
    metrics.router,
    login.router,
    pictures.router,
    inside.router,
    uploads.router,
    capabilities.router,
    recipes.router,
    gallery.router,
    studio.router,
    openai.router,
    a1111.router,
    a1111_about.router,
)


def create_app(settings: ServeSettings, open_network: OpenNetwork | None = None) -> FastAPI:
    """The app of a server; its lifespan starts and stops the service, which is `app.state.service`.

    `open_network`: what opens a model of `settings.sources`, by default `open_model`. OutputError, ConfigError where
    store or database cannot be opened.
    """
    service = PictureService(settings, open_network)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            await asyncio.to_thread(service.stop)

    app = FastAPI(
        title="Mezzotint",
        version=__version__,
        summary="Pictures from prompts; rows of all requests share network calls.",
        lifespan=lifespan,
        docs_url=None,  # its page fetches scripts from elsewhere
        redoc_url=None,
    )
    tokens = AccessTokens(settings.tokens)
    counted = metrics.ServerMetrics(service)
    app.state.service, app.state.tokens, app.state.metrics = service, tokens, counted
    app.state.tries = login.new_tries()
    for router in ROUTERS:
        app.include_router(router)
    # The last that is added is the first that is asked.
    app.add_middleware(Gate, settings=settings, tokens=tokens)
    app.add_middleware(BodyLimit, settings=settings)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(AccessLog, metrics=counted)
    app.add_exception_handler(MezzotintError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _broken)
    return app


async def _refused(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, ServeError):
        return error_response(error.status, str(error), error.code, error.retry_after)
    return error_response(507 if isinstance(error, OutputError) else 400, str(error), "invalid_request")


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors: list[Any] = [{**one, "loc": tuple(one["loc"][1:]) or one["loc"]} for one in error.errors()]
    where = str(error.errors()[0]["loc"][0]) if errors else "request"
    return error_response(422, describe_errors(errors, PictureOrder.model_fields, where), "invalid_request")


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    response = error_response(error.status_code, str(error.detail))
    response.headers.update(error.headers or {})
    return response


async def _broken(request: Request, error: Exception) -> JSONResponse:
    """A bug of ours; what it was is in the log, and not in the answer."""
    return error_response(500, "the server made a mistake; its log says more", "internal")
