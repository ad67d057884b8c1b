"""How often somebody may do something: a bucket that fills with time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

MOST = 10_000  # whose buckets are remembered


class RateLimit:
    """So many a minute for each name, as many at once after a rest. 0: any number."""

    def __init__(self, a_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._most, self._clock = a_minute / 60, a_minute, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and when

    def wait(self, name: str, takes: float = 1.0) -> float:
        """Seconds until `name` may; 0: now, and it is counted. With `takes` 0 nothing is."""
        if not self._most:
            return 0.0
        now = self._clock()
        left, then = self._buckets.get(name, (self._most, now))
        left = min(self._most, left + (now - then) * self._rate)
        if left < 1:
            return (1 - left) / self._rate
        self._buckets[name] = left - takes, now
        self._buckets.move_to_end(name)
        if len(self._buckets) > MOST:
            self._buckets.popitem(last=False)
        return 0.0
