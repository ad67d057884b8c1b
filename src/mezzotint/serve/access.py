"""The guard before all routes: who is asking, under which name of the server, and from which page."""

from __future__ import annotations

import ipaddress
import math
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mezzotint.serve.answers import error_response
from mezzotint.serve.rates import RateLimit
from mezzotint.serve.settings import ServeSettings
from mezzotint.serve.tokens import COOKIE, AccessTokens

PUBLIC = frozenset({"/healthz", "/login"})  # open without a token; all else is closed
CLIENT = "mezzotint_client"  # in the scope: whose turn it is
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_TRIES = 20  # wrong tokens a minute of an address
_FREE = ("/cancel", "/login", "/logout", "/interrupt", "/skip")  # ends of paths that no rate bounds


class Gate:
    """Default deny. Without tokens every address is a client, and what came through a proxy is refused."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, tokens: AccessTokens) -> None:
        self._app, self._tokens = app, tokens
        self._names = {"localhost", socket.gethostname().lower(), settings.host.lower()}
        self._names |= {name.lower() for name in settings.hosts}
        self._tries, self._rate = RateLimit(_TRIES), RateLimit(settings.rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":  # nothing here speaks anything else
            return await send({"type": "websocket.close", "code": 1008})
        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not self._is_ours(headers.get("host", "")):
            return error_response(
                421, "the server has no such name; its owner adds it with --allow-host NAME"
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
            return error_response(403, "pages of other sites may not use this server")
        address = scope["client"][0] if scope.get("client") else "local"
        client = self._client(scope, headers, address)
        if isinstance(client, Response):
            return client
        scope[CLIENT] = client
        bounded = scope["method"] == "POST" and not scope["path"].endswith(_FREE)
        if bounded and (seconds := self._rate.wait(client)):
            return error_response(
                429, "too many submissions; ask again later", "rate_limit", math.ceil(seconds)
            )
        return None

    def _client(self, scope: Scope, headers: Headers, address: str) -> str | Response:
        if not self._tokens:
            if any(name in headers for name in _FORWARDED):
                return error_response(403, "behind a proxy the server needs a token: --token-file FILE")
            return address
        if scope["path"] in PUBLIC and scope["method"] in ("GET", "HEAD"):
            return address
        if seconds := self._tries.wait(address, takes=0):
            return error_response(429, "too many wrong tokens", "rate_limit", math.ceil(seconds))
        if scope["path"] in PUBLIC:
            return address
        given = headers.get("authorization")
        cookie = HTTPConnection(scope).cookies.get(COOKIE)
        client = self._tokens.of_header(given) if given else self._tokens.of_session(cookie or "")
        if client is not None:
            return client
        if given:
            self._tries.wait(address)
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            return RedirectResponse("/login", 303)
        message = "this needs a token: send it as Authorization: Bearer TOKEN, or log in at /login"
        return error_response(401, message, "unauthorized", headers={"WWW-Authenticate": "Bearer"})

    def _is_ours(self, host: str) -> bool:
        """An address, or one of our names. A page that has its own name point here is refused (DNS rebinding)."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return True
