"""Ctrl-C and SIGTERM while training: first finish what is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self


class StopRequested(BaseException):
    """To stop, in the middle of what may be left undone."""


class StopSignal:
    """While this lasts, a signal to end is remembered as the exit code that shells expect; a second Ctrl-C ends at once."""

    def __init__(self) -> None:
        self.code = 0
        self._eager = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # no other may set them
            self._former = {
                n: signal.signal(n, self._remember_signal) for n in (signal.SIGINT, signal.SIGTERM)
            }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _remember_signal(self, number: int, frame: FrameType | None) -> None:
        if self.code and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.code = 128 + number
        if self._eager:
            raise StopRequested

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What is done in here changes nothing, and is left where it stands. Raises Asked."""
        if self.code:
            raise StopRequested
        self._eager = True
        try:
            yield
        finally:
            self._eager = False
