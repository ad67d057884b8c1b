"""Data sets of the Hugging Face hub as pictures, through the `datasets` library: an extra."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mezzotint.data.pictures.captions import COLUMNS, caption_in
from mezzotint.data.pictures.listing import Binary, Listing, Packed, plain_lines
from mezzotint.errors import DataError
from mezzotint.extras import install

_ID = re.compile(r"(?P<name>[\w-][\w.-]*/[\w-][\w.-]*)(?::(?P<split>\w+))?")


class HubPictures:
    """Encoded pictures in a column of a memory-mapped table."""

    def __init__(self, table: Any, column: str, name: str, rows: Sequence[int]):
        self.table, self.column, self.id = table, column, name
        self.rows = np.asarray(rows, np.int64)

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, index: int) -> str:
        return f"{self.id}#{self.rows[index]}"

    def open(self, index: int) -> Binary:
        found = self.table[int(self.rows[index])][self.column]
        if not found:
            raise DataError("an empty row")
        return io.BytesIO(found["bytes"]) if found.get("bytes") else open(found["path"], "rb")

    def only(self, indices: Sequence[int]) -> HubPictures:
        return HubPictures(self.table, self.column, self.id, [int(self.rows[i]) for i in indices])


def is_hub_id(source: str) -> bool:
    """Whether it reads as `owner/name` or `owner/name:split`."""
    return _ID.fullmatch(source) is not None


def list_hub(source: str) -> Listing:
    """The pictures of `owner/name`, of its split `train` where none is named. DataError where there are none to be had."""
    match = _ID.fullmatch(source)
    assert match is not None
    name, split = match["name"], match["split"] or "train"
    try:
        import datasets
    except ImportError:
        raise DataError(
            f"there is no folder {source}; to read it from the hub: {install('datasets')}"
        ) from None
    try:
        table = datasets.load_dataset(name, split=split)
    except Exception as error:  # of the network, the hub, the library and the file formats below it
        why = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"there is no folder {source}, and the hub gave none: {why[0]}") from None
    column = next((key for key, kind in table.features.items() if isinstance(kind, datasets.Image)), None)
    if column is None:
        raise DataError(f"{source} has no column of pictures; its columns are {', '.join(table.features)}")
    pictures = HubPictures(
        table.cast_column(column, datasets.Image(decode=False)), column, source, range(len(table))
    )
    return Listing(pictures, Packed(_captions(table)), licenses=_license(table))


def _captions(table: Any) -> Iterator[str]:
    columns = [column for column in COLUMNS if column in table.features]
    if not columns:
        return iter([""] * len(table))
    words = table.select_columns(columns)
    return (plain_lines(caption_in(row)) for row in words)


def _license(table: Any) -> Counter[str]:
    named = str(getattr(table.info, "license", "") or "")
    return Counter({named: len(table)} if named else {})
