"""The files of a store: where they lie, and one writer at a time.

The files are the truth and the index follows them. Every file is written beside its place and renamed into it,
under a lock that the system gives back when a process dies: so what is half written while the lock is free was
left by one that was killed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from mezzotint.errors import OutputError
from mezzotint.files import sync_folder, write_durably

ENDINGS = {"pictures": ".png", "metrics": ".json", "ledgers": ".jsonl"}
_MANY = 16  # files that are worth synchronizing together
_KEY = re.compile("[0-9a-f]{64}")


class StoreFiles:
    """`<root>/pictures/ab/abcdef….png`, and likewise metrics and ledgers. OutputError where it cannot be written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
            (root / "lock").touch()
        except OSError as error:
            raise OutputError(f"cannot keep a store in {root}: {error.strerror or error}") from None

    def path(self, kind: str, key: str) -> Path:
        """Where a file of this kind lies, or would lie."""
        return self.root / kind / key[:2] / f"{key}{ENDINGS[kind]}"

    def keys(self, kind: str) -> Iterator[str]:
        """The keys of all files of a kind, in order."""
        for folder in sorted((self.root / kind).glob("[0-9a-f][0-9a-f]")):
            for name in sorted(os.listdir(folder)):
                if name.endswith(ENDINGS[kind]) and _KEY.fullmatch(key := name.removesuffix(ENDINGS[kind])):
                    yield key

    def size(self, key: str) -> int | None:
        """Bytes of a picture's file; None where there is none."""
        try:
            return self.path("pictures", key).stat().st_size
        except OSError:
            return None

    def prepare_path(self, kind: str, key: str) -> Path:
        """The path, in a folder that survives a power cut."""
        path = self.path(kind, key)
        for folder in (path.parent.parent, path.parent):
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                sync_folder(folder.parent)
        return path

    def write(self, kind: str, key: str, text: str) -> None:
        """All of it or nothing, and on the disk when this returns."""
        write_durably(self.prepare_path(kind, key), text.encode())

    def write_all(self, kind: str, texts: Mapping[str, str]) -> None:
        """As `write`, of many: the disk as a whole is synchronized twice, which is cheaper than each file and folder."""
        if len(texts) < _MANY or not hasattr(os, "sync"):
            for key, text in texts.items():
                self.write(kind, key, text)
            return
        try:
            parts = []
            for key, text in texts.items():
                path = self.prepare_path(kind, key)
                parts.append((path.with_name(f".part-{uuid4().hex}"), path))
                parts[-1][0].write_text(text)
            os.sync()
            for part, path in parts:
                part.replace(path)
            os.sync()
        except OSError as error:
            raise OutputError(f"cannot write into {self.root}: {error.strerror or error}") from None

    def read(self, kind: str, key: str) -> str:
        """The text of a file; "" where there is none."""
        try:
            return self.path(kind, key).read_text()
        except (OSError, UnicodeDecodeError):
            return ""

    def remove(self, kind: str, key: str) -> int:
        """Bytes that are free now."""
        path = self.path(kind, key)
        try:
            size = path.stat().st_size
            path.unlink()
        except OSError:
            return 0
        return size

    def set_aside(self, path: Path) -> None:
        """Move a damaged file, where it is still there, to where it does no harm and can be looked at."""
        place = self.root / "torn" / path.name
        place.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            path.replace(place)

    def leftovers(self) -> list[Path]:
        """What killed processes left half written, and what was moved aside; ask while locked."""
        parts = [path for kind in ENDINGS for path in (self.root / kind).glob("*/.part-*")]
        return parts + sorted((self.root / "torn").glob("*"))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One process and one thread at a time; the system unlocks for a process that dies."""
        with (self.root / "lock").open("r+b") as file:
            lock(file.fileno())
            yield  # closing unlocks


def lock(descriptor: int) -> None:
    """Waits for the lock of an open file; closing it gives the lock back, and so does the end of the process."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)
