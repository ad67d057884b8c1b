"""How the command line speaks: one line at a time, errors and warnings on stderr."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO


def one_line(text: str) -> str:
    """Text as it may stand in a terminal: no line breaks, and no control characters of whoever wrote it."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def note(text: str) -> None:
    """A line on stderr."""
    print(one_line(text), file=sys.stderr, flush=True)


def fail(text: str, code: int = 2) -> int:
    """Say what is wrong in one line on stderr; returns the exit code."""
    note(f"error: {text}")
    return code


@contextmanager
def print_warnings(say: Callable[[str], None]) -> Iterator[None]:
    """Warnings of any thread, while this lasts, are lines of their own: `warning: ...`."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        say(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show
        yield
