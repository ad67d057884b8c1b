"""What every answer says to browsers, and how many bytes a question may have."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mezzotint.serve.answers import error_response
from mezzotint.serve.settings import ServeSettings

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_PLAIN = 4 << 20  # bytes of a body without pictures
_WITH_PICTURES = ("/sdapi/", "/v1/images/")  # whose bodies hold several, some as base64


class SecurityHeaders:
    """Adds what browsers should hold to. Answers are not cached unless they say so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with)


class BodyLimit:
    """413 for a body that is longer than its route may need, before it is read."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app, self._upload = app, settings.max_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        most, told = self._most(scope["path"]), Headers(scope=scope).get("content-length", "0")
        if not told.isdecimal() or int(told) > most:
            answer = error_response(413, f"the body may have {most} bytes", "too_large")
            return await answer(scope, receive, send)
        read = 0

        async def receive_bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise HTTPException(413, f"the body may have {most} bytes")
            return message

        await self._app(scope, receive_bounded, send)

    def _most(self, path: str) -> int:
        if path.startswith(_WITH_PICTURES):
            return 4 * self._upload + _PLAIN
        return max(_PLAIN, self._upload)
