"""Compiled networks kept between runs, each a folder with a manifest; safe to delete.

A cache that cannot be written makes things slower, never wrong.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mezzotint.files import file_digest, file_stamp, read_json_quietly, remember, temporary_path, write_atomic

_MANIFEST = "manifest.json"


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
    work = temporary_path(place.parent)
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
        aside = temporary_path(place.parent)
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
        files[path.name] = {"stamp": file_stamp(path)[:2], "sha256": file_digest(path)}
    write_atomic(folder / _MANIFEST, json.dumps(files).encode())


def _whole(folder: Path) -> bool:
    """Whether the files are those of the manifest: by size and time, by content where the time differs.

    The size matters most: the weights are mapped, and a shortened map kills the process when it is touched.
    """
    manifest = read_json_quietly(folder / _MANIFEST)
    try:
        now = {name: {**wrote, "stamp": file_stamp(folder / name)[:2]} for name, wrote in manifest.items()}
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
