"""The door for browsers: a token once, then a cookie, since event streams cannot send headers."""

from __future__ import annotations

import html
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from mezzotint.serve.access import CLIENT
from mezzotint.serve.rates import RateLimit
from mezzotint.serve.tokens import COOKIE, SESSION, AccessTokens

router = APIRouter(include_in_schema=False)
_TRIES = 10  # a minute of an address
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Mezzotint</title>
<h1>Mezzotint</h1>
<form method="post" action="/login">
<p><label>Token <input type="password" name="token" required autofocus autocomplete="current-password"></label>
<button>Log in</button></p>
<p role="alert">{said}</p>
</form></html>
"""


@router.get("/login")
async def form() -> HTMLResponse:
    """The page that asks for a token. Public."""
    return HTMLResponse(_PAGE.format(said=""))


@router.post("/login")
async def login(request: Request, token: Annotated[str, Form(max_length=500)] = "") -> Response:
    """A session for whoever knows a token."""
    tokens: AccessTokens = request.app.state.tokens
    tries: RateLimit = request.app.state.tries
    if not tokens:
        return RedirectResponse("/", 303)
    if tries.wait(request.scope[CLIENT]):
        return _said("Too many tries; wait a minute.", 429)
    client = tokens.client(token)
    if client is None:
        return _said("No such token.", 401)
    answer = RedirectResponse("/", 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(
        COOKIE, tokens.session(client), SESSION, httponly=True, samesite="strict", secure=secure
    )
    return answer


@router.post("/logout")
async def logout() -> Response:
    """The browser forgets its session."""
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


def new_tries() -> RateLimit:
    """How often an address may try to log in."""
    return RateLimit(_TRIES)


def _said(text: str, status: int) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(said=html.escape(text)), status)
