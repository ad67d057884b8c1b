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
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mezzotint.errors import OutputError

_MANIFEST = "manifest.json"


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
    part = _part_in(path.parent)
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
    work = _part_in(place.parent)
    work.mkdir()
    try:
        build(work)
        _sign(work)
        _move_in(work, place)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return place


def forget(cache: Path, but: int) -> None:
    """Remove all networks of a cache but those that were built last; one that is in use is built again."""
    with contextlib.suppress(OSError):
        entries = [path for path in (cache / "networks").iterdir() if not path.name.startswith(".part-")]
        entries.sort(key=lambda path: path.stat().st_mtime)
        for old in entries[: max(0, len(entries) - but)]:
            shutil.rmtree(old, ignore_errors=True)


def _part_in(folder: Path) -> Path:
    """A name for what is not whole yet. What `tempfile` makes is for one user; a cache may be shared."""
    return folder / f".part-{uuid.uuid4().hex}"


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
        aside = _part_in(place.parent)
        aside.mkdir()
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
        now = {name: {**wrote, "stamp": _stamp(folder / name)[:2]} for name, wrote in manifest.items()}
        whole = bool(manifest) and all(_same(folder / name, manifest[name], now[name]) for name in now)
    except (OSError, KeyError, TypeError):
        return False
    if whole and now != manifest:
        remember(folder / _MANIFEST, now)  # the content is not read again for the same time
    return whole


def _same(path: Path, wrote: dict[str, Any], now: dict[str, Any]) -> bool:
    if wrote["stamp"][0] != now["stamp"][0]:
        return False
    return bool(wrote["stamp"] == now["stamp"] or file_digest(path) == wrote["sha256"])


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
