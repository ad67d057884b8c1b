"""Errors as JSON, in the form that OpenAI's clients read."""

from __future__ import annotations

from fastapi.responses import JSONResponse


def error_response(
    status: int,
    message: str,
    code: str | None = None,
    retry_after: int | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """`{"error": {"message", "type", "param", "code"}}`; `retry_after` in seconds."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    if retry_after is not None:
        headers = {**(headers or {}), "Retry-After": str(retry_after)}
    error = {"message": message, "type": kind, "param": None, "code": code}
    return JSONResponse({"error": error}, status, headers)
