"""Who runs next, in how many rows, and where the time went. Policy only: no tensors here."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter
from typing import Any, Generic, Literal, Protocol, TypeVar

from mezzotint.engine.network import Network
from mezzotint.engine.trajectory import LaneKey


@dataclass
class Stats:
    """Counts since the engine was opened; seconds are wall time on the engine's thread."""

    calls: int = 0  # of the network
    rows: int = 0  # that were asked for
    padded: int = 0  # rows computed only to fill a bucket
    pictures: int = 0
    failed: int = 0
    cancelled: int = 0
    busy: float = 0.0  # not waiting for requests; contains the five below
    network: float = 0.0
    decoder: float = 0.0
    text: float = 0.0
    encoder: float = 0.0  # of pictures
    steering: float = 0.0  # gradients

    @property
    def elsewhere(self) -> float:
        """Busy seconds outside the networks: the engine's own cost."""
        return self.busy - self.network - self.decoder - self.text - self.encoder - self.steering

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        """Add the seconds of the `with` block to the field of this name, also when it raises."""
        began = perf_counter()
        try:
            yield
        finally:
            setattr(self, name, getattr(self, name) + perf_counter() - began)


Mode = Literal["fast", "exact"]
EXACT_ROWS = 8  # enough to profit from company, few enough that padding a lone picture to it stays bearable


class RowPadding:
    """`fast`: as many as the model finds worth sending, padded to its next bucket.

    `exact`: always padded to one count, so that the arithmetic never varies.
    """

    def __init__(self, network: Network, mode: Mode) -> None:
        self._network, self._exact = network, mode == "exact"
        self.budget = lru_cache(maxsize=1024)(self._budget)

    def _budget(self, lane: LaneKey) -> int:
        """The most rows of a call of this lane, at least the two that guidance takes.

        Gradients hold several times the memory; where they go through the network, `exact` takes one picture a call.
        """
        most = max(2, self._network.max_rows_at(*lane.shape[1:]))
        if lane.gradient:
            return 1 if self._exact else max(2, most // 4)
        return min(EXACT_ROWS, most) if self._exact else most

    def padded_rows(self, lane: LaneKey, rows: int) -> int:
        """The rows that a call with so many of them computes. One picture may need more rows than the budget."""
        if lane.gradient:
            return rows
        return max(self.budget(lane), rows) if self._exact else self._network.bucket(rows)


PATIENCE = 4  # ticks a lane waits before it goes first; small, so that one long run cannot block the others


class Waiting(Protocol):
    """What the policy looks at."""

    @property
    def lane(self) -> Any: ...  # hashable; only equals share a call
    @property
    def rows(self) -> int: ...  # of its next call


class Limits(Protocol):
    """What a call may cost."""

    def budget(self, lane: Any, /) -> int: ...  # the most rows of a call
    def padded_rows(self, lane: Any, rows: int, /) -> int: ...  # the rows it computes for so many


T = TypeVar("T", bound=Waiting)


class Batcher(Generic[T]):
    """Picks, for each network call, the oldest of one lane, as many as the row budget holds.

    The oldest of all picks the lane, unless another lane has waited PATIENCE ticks. Within a lane it is the
    front of the queue: at most its budget are ever in flight, and nobody is overtaken. Lanes of at most `kinds`
    kinds take turns, those with the oldest: where each kind is a network of its own, few are then needed at once.
    """

    def __init__(
        self, limits: Limits, kind: Callable[[Any], Hashable] = lambda lane: None, kinds: int = 1
    ) -> None:
        self._limits, self._kind, self._kinds = limits, kind, kinds
        self._lanes: dict[Any, dict[T, int]] = {}  # dictionaries as queues: order, and removal anywhere
        self._served: dict[Any, int] = {}  # the tick at which each lane last ran
        self._tick = self._arrivals = 0

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def __iter__(self) -> Iterator[T]:
        return (item for queue in self._lanes.values() for item in queue)

    def __contains__(self, item: T) -> bool:
        return item in self._lanes.get(item.lane, ())

    def add(self, item: T) -> None:
        """Queue the youngest."""
        self._served.setdefault(item.lane, self._tick)
        self._lanes.setdefault(item.lane, {})[item] = self._arrivals
        self._arrivals += 1

    def remove(self, item: T) -> bool:
        """Forget an item; True when its lane is empty now."""
        queue = self._lanes[item.lane]
        del queue[item]
        if not queue:
            del self._lanes[item.lane], self._served[item.lane]
        return not queue

    def take(self) -> list[T]:
        """The rows of the next network call, oldest first; they stay queued until removed."""
        self._tick += 1
        if not self._lanes:
            return []
        lane = self._lane()
        self._served[lane] = self._tick
        front = self._front(lane, self._limits.budget(lane))
        return self._front(lane, self._worthwhile(lane, sum(item.rows for item in front)))

    def _lane(self) -> Any:
        lanes = sorted(self._lanes, key=lambda lane: next(iter(self._lanes[lane].values())))
        kinds = list(dict.fromkeys(map(self._kind, lanes)))[: self._kinds]
        longest = min((lane for lane in lanes if self._kind(lane) in kinds), key=self._served.__getitem__)
        return longest if self._tick - self._served[longest] > PATIENCE else lanes[0]

    def _front(self, lane: Any, budget: int) -> list[T]:
        front: list[T] = []
        for item in self._lanes[lane]:
            budget -= item.rows
            if budget < 0 and front:
                break
            front.append(item)
        return front

    def _worthwhile(self, lane: Any, rows: int) -> int:
        """Fewer rows where over a third of the call would be padding: two full calls are cheaper."""
        padded = self._limits.padded_rows(lane, rows)
        if 3 * (padded - rows) <= padded:
            return rows
        return next((n for n in range(rows, 1, -1) if self._limits.padded_rows(lane, n) == n), rows)
