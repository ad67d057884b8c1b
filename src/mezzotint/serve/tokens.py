"""Who may come in: tokens, and the sessions of browsers that showed one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Iterable
from pathlib import Path

from mezzotint.errors import ConfigError

SHORTEST = 16  # characters of a token
SESSION = 30 * 24 * 3600  # seconds
COOKIE = "mezzotint"
_NAMED = re.compile(r"([\w.-]{1,40}):(\S+)", re.ASCII)


class AccessTokens:
    """Names of clients by token. Tokens are compared by their digests, so that no time tells of them."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._names: dict[bytes, str] = {}
        for text in tokens:
            named = _NAMED.fullmatch(text)
            token = named[2] if named else text
            digest = _digest(token)
            self._names[digest] = named[1] if named else f"token-{digest.hex()[:8]}"
        self._key = _digest("session" + "".join(sorted(digest.hex() for digest in self._names)))

    def __bool__(self) -> bool:
        return bool(self._names)

    def client(self, token: str) -> str | None:
        """Whose token it is."""
        return self._names.get(_digest(token))

    def of_header(self, authorization: str) -> str | None:
        """The client of `Bearer TOKEN`, or of HTTP Basic with the token as password and any user."""
        kind, _, value = authorization.partition(" ")
        if kind.lower() == "bearer":
            return self.client(value.strip())
        if kind.lower() == "basic":
            try:
                text = base64.b64decode(value.strip(), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                return None
            return self.client(text.partition(":")[2])
        return None

    def session(self, client: str) -> str:
        """What a browser keeps in its cookie: who it is and until when, signed. It ends with any change of tokens."""
        what = f"{int(time.time()) + SESSION}.{client}"
        return f"{what}.{self._sign(what)}"

    def of_session(self, value: str) -> str | None:
        """The client of a session that has not ended."""
        what, _, signature = value.rpartition(".")
        until, _, client = what.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(what).encode()):
            return None
        return client if time.time() < int(until) else None

    def _sign(self, what: str) -> str:
        return hmac.new(self._key, what.encode(), hashlib.sha256).hexdigest()


def read_tokens(path: Path) -> tuple[str, ...]:
    """The tokens of a file: one a line, or `NAME:TOKEN`. ConfigError where there is none, or one is easily guessed."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    found = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    if not found:
        raise ConfigError(f"{path} has no token; write one, such as from: openssl rand -hex 32")
    for number, text in enumerate(found, start=1):
        token = named[2] if (named := _NAMED.fullmatch(text)) else text
        if len(token) < SHORTEST or not token.isascii() or any(c.isspace() for c in token):
            what = f"{SHORTEST} or more letters and digits without spaces"
            raise ConfigError(f"{path}: token {number} should have {what}")
    return found


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
