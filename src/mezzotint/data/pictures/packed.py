"""Many strings in one block of bytes: 100,000 paths as Python strings would take ten times the room."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator


class Packed:
    """An immutable list of strings; file names that are not UTF-8 come back as they were."""

    def __init__(self, strings: Iterable[str]):
        data, self._ends = bytearray(), array("Q", [0])
        for string in strings:
            data += string.encode("utf-8", "surrogateescape")
            self._ends.append(len(data))
        self._data = bytes(data)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._data[self._ends[index] : self._ends[index + 1]].decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))
