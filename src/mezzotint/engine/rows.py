"""How many rows a network call has, and to how many it is padded: the one difference between the modes."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from mezzotint.engine.network import Network
from mezzotint.engine.trajectory import LaneKey

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
