"""Work done before it is asked for, and results kept while there is room: both change when, never what."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class LruArrays:
    """Arrays by key: those last used, up to so many bytes. Safe from several threads."""

    def __init__(self, most: int):
        self.most, self.bytes = most, 0
        self._lock = threading.Lock()
        self._arrays: OrderedDict[Hashable, NDArray[np.uint8]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """The array of this key, made where it is not at hand; two threads at once may make it twice."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                return self._arrays[key]
        made = make()
        with self._lock:
            self.bytes += made.nbytes if key not in self._arrays else 0
            self._arrays[key] = made
            while self.bytes > self.most:
                self.bytes -= self._arrays.popitem(last=False)[1].nbytes
        return made


class Prefetcher(Generic[Key, Value]):
    """A function of a key, called for the next keys by threads while the caller works on this one."""

    def __init__(self, make: Callable[[Key], Value], workers: int):
        self._make, self._workers = make, workers
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._begun: dict[Key, Future[Value]] = {}
        self.wait_seconds = 0.0  # seconds that callers waited

    def get(self, key: Key, upcoming: Iterable[Key] = ()) -> Value:
        """The value, or what making it raised. What was begun and is not upcoming is dropped."""
        started = time.perf_counter()
        try:
            if not self._workers:
                return self._make(key)
            return self._begin(key, upcoming).result()
        finally:
            self.wait_seconds += time.perf_counter() - started

    def _begin(self, key: Key, upcoming: Iterable[Key]) -> Future[Value]:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="pictures")
            before, self._begun = self._begun, {}
            for wanted in (key, *upcoming):
                self._begun[wanted] = (
                    before.pop(wanted) if wanted in before else self._pool.submit(self._make, wanted)
                )
            for stale in before.values():
                stale.cancel()
            return self._begun.pop(key)

    def close(self) -> None:
        """Stop the threads; what is asked for later starts them again."""
        with self._lock:
            pool, self._pool, self._begun = self._pool, None, {}
        if pool is not None:
            pool.shutdown(cancel_futures=True)
