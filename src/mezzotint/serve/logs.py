"""What the server says while it runs: a line an event on stderr, JSON where no person reads along."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mezzotint.serve.access import CLIENT
from mezzotint.serve.metrics import ServerMetrics

access = logging.getLogger("mezzotint.serve.access")
_QUIET = ("/healthz", "/readyz", "/metrics")  # asked every few seconds


class LineFormatter(logging.Formatter):
    """`{"time", "level", "event", ...}`, or the same for people. `extra={"facts": {...}}` of a record goes along."""

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever is in it; a traceback is a field."""
        facts = getattr(record, "facts", {})
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": when, "level": record.levelname.lower(), "event": record.getMessage(), **facts}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        if self._as_json:
            return json.dumps(line, ensure_ascii=True, default=str)
        shown = " ".join(f"{name}={value}" for name, value in facts.items())
        text = f"{when[11:19]} {record.getMessage()} {shown}".strip()
        text = "".join(c if c.isprintable() else " " for c in text)
        return f"{text}\n{line['traceback']}" if record.exc_info else text


def set_up_logs(as_json: bool | None = None) -> None:
    """Send what the server and uvicorn say to stderr; None: JSON where that is no terminal."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(not sys.stderr.isatty() if as_json is None else as_json))
    for name, level in (("mezzotint.serve", logging.INFO), ("uvicorn", logging.WARNING)):
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False
        log.setLevel(level)


class AccessLog:
    """A line an answer: who, what, how long. Never a prompt, a query or a token."""

    def __init__(self, app: ASGIApp, metrics: ServerMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began, status, sent = time.perf_counter(), 500, 0

        async def send_counted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_counted)
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.answered(scope["method"], route, status, seconds)
            if scope["path"] not in _QUIET:
                facts = {
                    "client": scope.get(CLIENT, "-"),
                    "method": scope["method"],
                    "path": scope["path"][:200],
                    "status": status,
                    "bytes": sent,
                    "ms": round(1000 * seconds, 1),
                }
                access.info("answered", extra={"facts": facts})
