"""One server a store: two would draw each job twice."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO

from mezzotint.errors import OutputError


class StoreClaim:
    """Holds a store for this process; the system gives it back when the process dies. OutputError where it is held."""

    def __init__(self, store: Path) -> None:
        self._file: IO[bytes] = (store / "serve.lock").open("ab")
        try:
            _lock(self._file.fileno())
        except OSError:
            self._file.close()
            what = f"another server uses the store {store}; stop it, or give --store DIR"
            raise OutputError(what) from None

    def close(self) -> None:
        """Give it back."""
        self._file.close()


def _lock(descriptor: int) -> None:
    """At once, or OSError."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
