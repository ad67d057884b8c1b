"""Looking after a store: whether all is whole, what is of no use, and taking pictures out."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mezzotint.errors import OutputError
from mezzotint.files import write_durably
from mezzotint.store.index import StoreRow
from mezzotint.store.store import Store, open_verified


@dataclass
class VerifyReport:
    """What `verify` found, by key; `left` are the names of files that a killed process left half written."""

    pictures: int = 0  # whole
    unlisted: list[str] = field(default_factory=list)  # files without a row
    lost: list[str] = field(default_factory=list)  # rows without a file
    torn: list[str] = field(default_factory=list)  # files that are not whole, or not what their name says
    unmeasured: list[str] = field(default_factory=list)  # metrics on disk that the index has otherwise
    half_written: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing is to be repaired."""
        return not (self.unlisted or self.lost or self.torn or self.unmeasured or self.half_written)


def verify(store: Store, repair: bool = False) -> VerifyReport:
    """Read every picture and compare it with the index; `repair` makes the index again from the files.

    A file without a row is adopted, a row without a file dropped, a torn file moved aside. Writers wait where one
    picture is repaired, not longer.
    """
    found = VerifyReport()
    for key in list(store.files.keys("pictures")):
        with store.files.lock():
            _verify(store, key, repair, found)
    with store.files.lock():
        found.lost = [row.key for row in store.query() if store.files.size(row.key) is None]
        left = [path for path in store.files.leftovers() if path.name.startswith(".part-")]
        found.half_written = [path.name for path in left]
        if repair:
            store.index.drop(found.lost)
            for path in left:
                path.unlink(missing_ok=True)
    return found


def _verify(store: Store, key: str, repair: bool, found: VerifyReport) -> None:
    size, row = store.files.size(key), store.index.rows([key]).get(key)
    if size is None:
        return  # removed meanwhile
    picture = open_verified(store.path(key), key)
    if picture is None:
        found.torn.append(key)
    else:
        found.pictures += 1
        if row != StoreRow.of(picture, size):
            found.unlisted.append(key)
        elif _as_json(store.read_metrics(key)) != _as_json(store.metrics([key]).get(key, {})):
            found.unmeasured.append(key)
        else:
            return
    if repair:
        store.adopt(key)


def _as_json(metrics: dict[str, float]) -> str:
    return json.dumps(metrics, sort_keys=True)  # NaN equals itself there


@dataclass
class GcReport:
    """What `gc` removed, or would remove."""

    pictures: int = 0
    others: int = 0  # half written, moved aside, metrics and ledgers of pictures that are gone
    bytes: int = 0


def gc(store: Store, before: str = "", model: str = "", dry: bool = False) -> GcReport:
    """Remove what is of no use; pictures only where a time (ISO 8601), a model, or both are given."""
    done = GcReport()
    with store.files.lock():
        if before or model:
            for row in list(store.query(before=before, model=model)):
                done.pictures += 1
                done.bytes += row.bytes
                if not dry:
                    store.index.drop([row.key])
                    store.files.remove("pictures", row.key)
        for path in store.files.leftovers():
            done.others += 1
            done.bytes += path.stat().st_size
            if not dry:
                path.unlink()
        for kind in ("metrics", "ledgers"):
            for key in list(store.files.keys(kind)):
                if store.files.size(key) is None:
                    done.others += 1
                    done.bytes += store.files.path(kind, key).stat().st_size
                    if not dry:
                        store.files.remove(kind, key)
    return done


def export(store: Store, rows: Iterable[StoreRow], folder: Path) -> int:
    """Copy pictures into a folder as `<key>.png`, and `pictures.csv` with what is known of each; returns how many."""
    table: list[dict[str, object]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for row in rows:
            write_durably(folder / f"{row.key}.png", store.path(row.key).read_bytes())
            table.append({**asdict(row), **store.metrics([row.key]).get(row.key, {})})
        columns = list(dict.fromkeys(name for line in table for name in line))
        with (folder / "pictures.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(table)
    except OSError as error:
        raise OutputError(f"cannot export to {folder}: {error.strerror or error}") from None
    return len(table)
