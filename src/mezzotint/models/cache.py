"""What Mezzotint keeps between runs: compiled networks and the digests of files, all of it safe to delete.

Everything is written beside its place and renamed into it, so that a reader, a killed process or a second
process at the same moment meets either nothing or the whole. A cache that cannot be written makes things
slower, never wrong.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MANIFEST = "manifest.json"


def default_cache() -> Path:
    """`$XDG_CACHE_HOME/mezzotint`, or `~/.cache/mezzotint`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mezzotint"


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
    handle, name = tempfile.mkstemp(prefix=".part-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remembered_digest(path: Path, cache: Path) -> str:
    """sha256 of a file's content, read again only when its size, times or inode have changed."""
    path = path.resolve()
    note = cache / "digests" / f"{key_of(str(path))}.json"
    stamp = _stamp(path)
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


def entry(cache: Path, key: str, build: Callable[[Path], None]) -> Path:
    """The folder `cache/networks/key` that `build(folder)` filled, now or in an earlier run.

    An entry whose files are not the ones that were written is built again. OSError where nothing can be
    written.
    """
    place = cache / "networks" / key
    if _whole(place):
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    _sweep(place.parent)
    work = Path(tempfile.mkdtemp(prefix=".part-", dir=place.parent))
    try:
        build(work)
        _sign(work)
        _move_in(work, place)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return place


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed while they wrote left behind, a day later."""
    for left in folder.glob(".part-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > 24 * 3600:
                shutil.rmtree(left, ignore_errors=True)


def _move_in(work: Path, place: Path) -> None:
    try:
        work.rename(place)
    except OSError:  # something is there: another process was first, or what is there is damaged
        if _whole(place):
            return
        aside = Path(tempfile.mkdtemp(prefix=".part-", dir=place.parent))
        with contextlib.suppress(FileNotFoundError):
            place.rename(aside / "damaged")
        shutil.rmtree(aside, ignore_errors=True)
        work.rename(place)


def _sign(folder: Path) -> None:
    files = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        files[path.name] = {"stamp": _stamp(path)[:2], "sha256": file_digest(path)}
    write_atomic(folder / _MANIFEST, json.dumps(files).encode())


def _whole(folder: Path) -> bool:
    """Whether the files are those of the manifest: by size and time, by content where the time differs.

    The size matters most: the weights are mapped, and a shortened map kills the process when it is touched.
    """
    manifest = read_json_quietly(folder / _MANIFEST)
    try:
        return bool(manifest) and all(_same(folder / name, wrote) for name, wrote in manifest.items())
    except (OSError, KeyError, TypeError):
        return False


def _same(path: Path, wrote: dict[str, Any]) -> bool:
    size, mtime = _stamp(path)[:2]
    if size != wrote["stamp"][0]:
        return False
    return bool(mtime == wrote["stamp"][1] or file_digest(path) == wrote["sha256"])


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
