"""The process of a server: uvicorn around the app, and an orderly end."""

from __future__ import annotations

import logging
import os
import socket
import threading
import warnings
from types import FrameType

import uvicorn
from sse_starlette.sse import AppStatus

from mezzotint.errors import ConfigError
from mezzotint.serve.app import create_app
from mezzotint.serve.hosts import OpenNetwork
from mezzotint.serve.logs import set_up_logs
from mezzotint.serve.service import PictureService
from mezzotint.serve.settings import ServeSettings

_PATIENCE = 600  # seconds that what is being drawn may take at the end
log = logging.getLogger("mezzotint.serve")


class PictureServer(uvicorn.Server):
    """On SIGTERM and Ctrl-C it takes nothing new, finishes what is being drawn, and says so."""

    def __init__(self, service: PictureService, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Once drains; a second Ctrl-C ends at once, as uvicorn does."""
        service = self._service
        if not service.draining:
            drawn, waiting = service.board.counts()
            log.info("draining: %d pictures are finished first, %d wait for the next start", drawn, waiting)
            threading.Thread(target=service.drain, name="mezzotint-drain", daemon=True).start()
        super().handle_exit(sig, frame)


def run_server(settings: ServeSettings, open_network: OpenNetwork | None = None) -> None:
    """Serve until a signal ends it. ConfigError where nothing can listen there."""
    set_up_logs()
    warnings.simplefilter(
        "ignore", UserWarning
    )  # such as of long prompts, which pictures tell; logs have no prompts
    AppStatus.enable_automatic_graceful_drain = False  # event streams last as long as what is being drawn
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        where = f"{settings.host}, port {settings.port}"
        raise ConfigError(
            f"cannot listen on {where}: {os.strerror(error.errno or 0)}; take another --port"
        ) from None
    app = create_app(settings, open_network)
    app.state.service.warm()
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_PATIENCE,
        ws="none",
    )
    place = f"http://{settings.host}:{listener.getsockname()[1]}"
    log.info("serving on %s", place, extra={"facts": {"models": ", ".join(settings.sources)}})
    PictureServer(app.state.service, config).run(sockets=[listener])
