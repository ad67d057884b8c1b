"""Files of ours: written whole or not at all, read within bounds, named by their content.

Everything is written beside its place and renamed into it, so that a reader, a killed process or a second process at
the same moment meets either nothing or the whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

from mezzotint.errors import DataError, OutputError


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/mezzotint`, or `~/.cache/mezzotint`; nowhere for a user without a home."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    except RuntimeError:
        base = Path(os.devnull)  # in which nothing can be written
    return base / "mezzotint"


def key_of(*parts: object) -> str:
    """32 hex digits that name these JSON-able values, in this order."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(path: Path, content: bytes) -> None:
    """Write a small file, whole or not at all. OSError where the folder cannot be written."""
    part = temporary_path(path.parent)
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def put(path: Path, content: bytes, task: str) -> None:
    """As `write_atomic`, with the folder where it is not there. OutputError says which `task` failed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as error:
        raise OutputError(f"cannot {task}: {error.strerror or error}") from None


def remembered_digest(path: Path, cache: Path) -> str:
    """sha256 of a file's content, read again only when its size, times or inode have changed."""
    path = path.resolve()
    note = cache / "digests" / f"{key_of(str(path))}.json"
    stamp = file_stamp(path)
    known = read_json_quietly(note)
    if known.get("stamp") == stamp and isinstance(known.get("sha256"), str):
        return str(known["sha256"])
    digest = file_digest(path)
    remember(note, {"path": str(path), "stamp": stamp, "sha256": digest})
    return digest


def remember(note: Path, content: dict[str, Any]) -> None:
    """Keep a small JSON note in the cache, where the cache can be written."""
    with contextlib.suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(note, json.dumps(content).encode())


def read_json_quietly(path: Path) -> dict[str, Any]:
    """A note of the cache; empty when it is missing or damaged, since it can be made again."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def temporary_path(folder: Path) -> Path:
    """A name for what is not whole yet. What `tempfile` makes is for one user; a cache may be shared."""
    return folder / f".part-{uuid.uuid4().hex}"


def file_stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


MAX_BYTES = 64 * 2**20  # of a file that `open` reads


def read_bounded(path: Path) -> bytes:
    """The bytes of a file of bearable size. DataError where it is larger, or cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise DataError(f"{path} is larger than {MAX_BYTES >> 20} MiB")
    return data


def write_durably(path: Path, data: bytes) -> None:
    """All of it or nothing, and on the disk when this returns. OutputError where it cannot be written."""
    try:
        write_atomic(path, data)
        sync_folder(path.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None


def sync_folder(folder: Path) -> None:
    """The new name, too, survives a power cut; systems without open folders see to it themselves."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
