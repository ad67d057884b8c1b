"""Rows beside a table of embeddings, in torch: new words, while the table stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class ExtendedEmbedding(nn.Module):
    """A table of embeddings whose ids go on in further rows (k, width), which are asked for at each call."""

    def __init__(self, table: nn.Embedding, rows: Callable[[], Tensor]):
        super().__init__()
        self.table, self.rows = table, rows

    @property
    def weight(self) -> Tensor:
        """Of the table: text encoders take their dtype from it."""
        return self.table.weight

    def forward(self, ids: Tensor) -> Tensor:
        """(n, length, width)."""
        count = self.table.num_embeddings
        known = self.table(ids.clamp(max=count - 1))
        new = nn.functional.embedding((ids - count).clamp(min=0), self.rows()).to(known.dtype)
        return torch.where((ids >= count)[..., None], new, known)


@contextmanager
def with_rows(text: Any, rows: Tensor) -> Iterator[None]:
    """While this lasts, a text encoder's ids go on in these rows."""
    table = text.get_input_embeddings()
    text.set_input_embeddings(ExtendedEmbedding(table, lambda: rows))
    try:
        yield
    finally:
        text.set_input_embeddings(table)
