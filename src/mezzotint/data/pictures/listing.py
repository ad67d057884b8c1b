"""What a source offers before any picture is opened: candidates, what is said of them, and what cannot be."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO
from typing import NamedTuple, Protocol, Self


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


Binary = BufferedReader | BytesIO


class Skipped(NamedTuple):
    """A file that is left out; `reason` is for people, and alike for all that share it up to a colon."""

    path: str
    reason: str


class PictureSource(Protocol):
    """Encoded pictures by index, wherever they are. Reading is safe from several threads."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """A path or another name, unique in the source."""

    def open(self, index: int) -> Binary:
        """The file's bytes, seekable; OSError where it is gone."""

    def only(self, indices: Sequence[int]) -> Self:
        """These alone, in this order."""


@dataclass
class Listing:
    """Candidates of one source. `captions[i]` holds what picture i may be called, a line each; "" for none."""

    pictures: PictureSource
    captions: Packed
    skipped: list[Skipped] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # of the source itself
    wordless: list[str] = field(default_factory=list)  # problems that matter only to who reads captions
    others: Counter[str] = field(default_factory=Counter)  # endings of files that are no pictures
    licenses: Counter[str] = field(default_factory=Counter)  # as the metadata says


def plain_lines(text: str) -> str:
    """The lines of a caption without what surrounds them; empty ones are left out."""
    return "\n".join(filter(None, (" ".join(line.split()) for line in text.splitlines())))


def some(names: Sequence[str], count: int = 3) -> str:
    """`a, b, c and 5 more`."""
    more = f" and {len(names) - count:,} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
