"""A store: asking for a picture that is there returns it; what `put` has returned from survives whatever comes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy.exc import DBAPIError

from mezzotint.errors import DataError, OutputError, nearest
from mezzotint.picture import LedgerEntry, Picture
from mezzotint.request import Request
from mezzotint.store.files import StoreFiles
from mezzotint.store.index import StoreIndex, StoreRow, key_of, key_of_picture

INDEX = "index.sqlite"


class Store:
    """Any number of processes and threads may write and read it at once. Use `with`, or close it.

    The first picture of a key stays: in `exact` any other has the same bits, in `fast` nearly so.
    """

    def __init__(self, files: StoreFiles, index: StoreIndex) -> None:
        self.files, self.index = files, index

    @classmethod
    def open(cls, where: str | Path, index: str = "") -> Self:
        """The store of a folder, made where there is none; `index`: a URL of SQLAlchemy's, else a file in it.

        ConfigError where the index cannot be opened, OutputError where the folder cannot be written.
        """
        made = StoreIndex(index) if index else None  # before anything is written
        files = StoreFiles(Path(where))
        with files.lock():
            if made:
                try:
                    made.prepare()
                except DBAPIError as error:
                    what = str(error.orig).strip().splitlines()[0]
                    raise OutputError(f"the index of {where} does not answer: {what}") from None
                return cls(files, made)
            return cls(files, _open_sqlite_index(files))

    def close(self) -> None:
        """Give back what the index holds."""
        self.index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close()

    def get(self, request: Request, model_digest: str, mode: str, precision: str) -> Picture | None:
        """The picture of a request, where it is here."""
        return self.read(key_of(request, model_digest, mode, precision))

    def read(self, key: str) -> Picture | None:
        """The picture of a key with its ledger; None where it is not here. A damaged one is moved aside."""
        path = self.path(key)
        if not path.exists():
            return None
        picture = open_verified(path, key)
        if picture is None:
            with self.files.lock():
                self.adopt(key)
            return None
        lines = self.files.read("ledgers", key).splitlines()
        return replace(picture, ledger=tuple(LedgerEntry(*json.loads(line)) for line in lines))

    def path(self, key: str) -> Path:
        """Where the PNG of a key lies, or would lie."""
        return self.files.path("pictures", key)

    def put(self, picture: Picture) -> str:
        """Keep a picture; when this returns its key, it is whole and on the disk. OutputError where that cannot be."""
        key = key_of_picture(picture)
        with self.files.lock():
            if key in self._rows([key]):
                return key
            try:
                if picture.ledger:
                    lines = "".join(f"{json.dumps(list(entry))}\n" for entry in picture.ledger)
                    self.files.write("ledgers", key, lines)
                picture.save(self.files.prepare_path("pictures", key))
            except OSError as error:
                raise OutputError(f"cannot keep a picture in {self.files.root}: {error.strerror}") from None
            self.index.add(StoreRow.of(picture, self.files.size(key) or 0))
        return key

    def has(self, key: str) -> bool:
        """Whether the picture of a key is here."""
        return key in self.rows([key])

    def rows(self, keys: Iterable[str]) -> dict[str, StoreRow]:
        """The rows of those keys whose pictures are here. A file without a row gets one; a torn file is moved aside."""
        with self.files.lock():
            return self._rows(list(keys))

    def _rows(self, keys: list[str]) -> dict[str, StoreRow]:
        found = {}
        rows = self.index.rows(keys)
        for key in keys:
            size, row = self.files.size(key), rows.get(key)
            if size is not None and (row is None or row.bytes != size):
                row = self.adopt(key)
            if size is not None and row is not None:
                found[key] = row
        return found

    def adopt(self, key: str) -> StoreRow | None:
        """Enter a file into the index, its metrics too, or move it aside where it is not whole; while locked."""
        path = self.path(key)
        picture = open_verified(path, key)
        self.index.drop([key])
        if picture is None:
            self.files.set_aside(path)
            return None
        row = StoreRow.of(picture, path.stat().st_size)
        self.index.add(row)
        self.index.set_metrics({key: self.read_metrics(key)})
        return row

    def set_metrics(self, values: Mapping[str, Mapping[str, float]]) -> None:
        """Keep metrics {key: {name: value}} beside those that are there; NaN: not defined.

        DataError for a key that is not here, or a value that is infinite.
        """
        for key, named in values.items():
            if any(math.isinf(value) for value in named.values()):
                raise DataError(f"a metric of {key[:10]} is infinite; keep NaN where it is not defined")
        with self.files.lock():
            texts = {}
            for key, named in values.items():
                if self.files.size(key) is None:
                    raise DataError(f"no picture {key[:10]} is in {self.files.root}; put it first")
                merged = {**self.read_metrics(key), **named}
                told = {name: None if math.isnan(value) else value for name, value in merged.items()}
                texts[key] = json.dumps(told, sort_keys=True)
            self.files.write_all("metrics", texts)
            self.index.set_metrics(values)

    def metrics(self, keys: Iterable[str]) -> dict[str, dict[str, float]]:
        """{key: {name: value}} of those that have any; NaN where one is not defined."""
        return self.index.metrics(keys)

    def read_metrics(self, key: str) -> dict[str, float]:
        """As `metrics`, of one key, from its file."""
        try:
            found = json.loads(self.files.read("metrics", key) or "{}")
            return {str(name): math.nan if value is None else float(value) for name, value in found.items()}
        except (ValueError, TypeError, AttributeError):
            return {}  # they can be measured again

    def query(self, **asked: Any) -> Iterator[StoreRow]:
        """Rows, newest first: `model`, `prompt` (words of it), `before` (ISO 8601), `limit`."""
        return self.index.query(**asked)

    def find(self, prefix: str) -> str:
        """The key that begins so. DataError where there is none, or several."""
        found = self.index.keys_with_prefix(prefix.lower()) if prefix else []
        if len(found) == 1:
            return found[0]
        if found:
            raise DataError(f"several pictures begin with {prefix[:64]!r}; give more of the key")
        hint = nearest(prefix, (row.key[: len(prefix)] for row in self.query(limit=1000)))
        raise DataError(f"no picture of {self.files.root} begins with {prefix[:64]!r}{hint}")


def open_verified(path: Path, key: str) -> Picture | None:
    """The picture of a file that is whole and has the name that it should have."""
    try:
        picture = Picture.open(path)
    except DataError:
        return None
    return picture if key_of_picture(picture) == key else None


def _open_sqlite_index(files: StoreFiles) -> StoreIndex:
    """The SQLite file of a store. One that is damaged, or gone, is made again from the files."""
    path = files.root / INDEX
    fresh = not path.exists()
    index = StoreIndex(f"sqlite:///{path}")
    try:
        index.prepare()
    except DBAPIError:
        index.close()
        for end in ("", "-wal", "-shm"):
            if (old := path.with_name(path.name + end)).exists():
                files.set_aside(old)
        index, fresh = StoreIndex(f"sqlite:///{path}"), True
        index.prepare()
    if fresh:
        store = Store(files, index)
        for key in files.keys("pictures"):
            store.adopt(key)
    return index
