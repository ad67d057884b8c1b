"""Arrays on disk under the digest of what they were made from, made once and read by every epoch and every run.

A process appends to files of its own and never changes what is written, so several need no locks, and a killed one leaves
at most a torn last record. Records are read with `pread`, not mapped: a map of a file that was shortened kills the process.
A record is a key of 16 bytes, a checksum of 4, and the array; the keys stand once more in a small file that is read first.
"""

from __future__ import annotations

import os
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

Key = bytes  # 16 of a sha256
_KEY, _HEAD = 16, 20
_MERGE = 4096
_KEYS, _DATA = ".keys", ".data"


class ArrayCache:
    """Arrays of one shape and dtype in a folder that is safe to delete between runs; for one thread at a time."""

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: DTypeLike = "float16"):
        self.folder, self.shape, self.dtype = folder, shape, np.dtype(dtype)
        self.bytes = int(np.prod(shape)) * self.dtype.itemsize
        self.made = 0  # by this process
        self._index = _Index()
        self._shards: list[Path] = []
        self._own: tuple[int, int] | None = None  # descriptors of our keys and data
        self._rows = 0
        self._writable = True
        for keys in sorted(folder.glob(f"*{_KEYS}"), key=_modified_at):
            self._read_keys(keys)  # the latest last: what was damaged is there once more

    def get(self, key: Key, make: Callable[[], NDArray[np.floating]]) -> NDArray[np.floating]:
        """The array of this key: as kept, or made, kept and rounded alike, so that the first time equals all others."""
        known = self._read(key)
        if known is not None:
            return known
        made = np.ascontiguousarray(make(), self.dtype).reshape(self.shape)
        self.made += 1
        if self._writable:
            try:
                self._append(key, made)
            except OSError:  # such as a full disk: slower from now on, never wrong
                self._writable = False
        return made

    def close(self) -> None:
        """Close what is being written."""
        for descriptor in self._own or ():
            os.close(descriptor)
        self._own = None

    def _read_keys(self, path: Path) -> None:
        data = path.with_suffix(_DATA)
        try:
            keys = np.frombuffer(path.read_bytes()[: path.stat().st_size // _KEY * _KEY], "<u8")[::2]
            rows = min(len(keys), data.stat().st_size // (_HEAD + self.bytes))
        except OSError:
            return
        self._index.merge(keys[:rows], np.arange(rows, dtype=np.uint64) | np.uint64(len(self._shards) << 40))
        self._shards.append(data)

    def _read(self, key: Key) -> NDArray[np.floating] | None:
        """What is kept under this key; None where there is nothing, or it is not what was written."""
        place = self._index.find(int.from_bytes(key[:8], "little"))
        if place is None:
            return None
        record = _read_at(
            self._shards[place >> 40], (place & (1 << 40) - 1) * (_HEAD + self.bytes), _HEAD + self.bytes
        )
        if record[:_HEAD] != key + _checksum(record[_HEAD:]) or len(record) != _HEAD + self.bytes:
            return None
        array: NDArray[np.floating] = np.frombuffer(record, self.dtype, offset=_HEAD).reshape(self.shape)
        return array

    def _append(self, key: Key, made: NDArray[np.floating]) -> None:
        if self._own is None:
            self._own = self._begin()
        keys, data = self._own
        content = made.tobytes()
        _write(data, key + _checksum(content) + content)
        _write(keys, key)  # after its record: a key means that there is one
        self._index.add(int.from_bytes(key[:8], "little"), (len(self._shards) - 1) << 40 | self._rows)
        self._rows += 1

    def _begin(self) -> tuple[int, int]:
        self.folder.mkdir(parents=True, exist_ok=True)
        name, flags = self.folder / uuid.uuid4().hex, os.O_WRONLY | os.O_CREAT | os.O_EXCL
        keys, data = (os.open(name.with_suffix(kind), flags, 0o666) for kind in (_KEYS, _DATA))
        self._shards.append(name.with_suffix(_DATA))
        self._rows = 0
        return keys, data


class _Index:
    """Where a key is, in 16 bytes an entry: sorted arrays, and a few that came since."""

    def __init__(self) -> None:
        self.keys, self.places = np.empty(0, np.uint64), np.empty(0, np.uint64)
        self.fresh: dict[int, int] = {}

    def find(self, key: int) -> int | None:
        if key in self.fresh:
            return self.fresh[key]
        at = int(np.searchsorted(self.keys, np.uint64(key), side="right")) - 1  # the last that was written
        return int(self.places[at]) if at >= 0 and int(self.keys[at]) == key else None

    def add(self, key: int, place: int) -> None:
        self.fresh[key] = place
        if len(self.fresh) >= _MERGE:
            fresh, self.fresh = self.fresh, {}
            self.merge(np.array(list(fresh), np.uint64), np.array(list(fresh.values()), np.uint64))

    def merge(self, keys: NDArray[np.uint64], places: NDArray[np.uint64]) -> None:
        keys, places = np.concatenate([self.keys, keys]), np.concatenate([self.places, places])
        order = np.argsort(keys, kind="stable")
        self.keys, self.places = keys[order], places[order]


def _modified_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(4, "little")


def _read_at(path: Path, offset: int, count: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.pread(descriptor, count, offset)
    finally:
        os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
