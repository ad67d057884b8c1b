"""The index of a store: a row for each picture and for each of its metrics, in any database that SQLAlchemy speaks to."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import islice
from typing import Any, Literal, Protocol

import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from mezzotint.errors import ConfigError
from mezzotint.picture import Picture
from mezzotint.request import Request

_MANY = 500  # keys in one question
_TABLES = sql.MetaData()
_PICTURES = sql.Table(
    "pictures",
    _TABLES,
    sql.Column("key", sql.String(64), primary_key=True),
    sql.Column("request", sql.Text, nullable=False),
    sql.Column("model", sql.Text, nullable=False),
    sql.Column("model_digest", sql.Text, nullable=False),
    sql.Column("mode", sql.String(8), nullable=False),
    sql.Column("precision", sql.Text, nullable=False),
    sql.Column("prompt", sql.Text, nullable=False),
    sql.Column("seed", sql.BigInteger, nullable=False),
    sql.Column("evaluations", sql.Integer, nullable=False),
    sql.Column("seconds", sql.Float, nullable=False),
    sql.Column("created", sql.String(40), nullable=False, index=True),
    sql.Column("bytes", sql.BigInteger, nullable=False),
    sql.Column("pixels", sql.String(64), nullable=False),
)
_METRICS = sql.Table(
    "metrics",
    _TABLES,
    sql.Column("key", sql.String(64), primary_key=True),
    sql.Column("name", sql.String(200), primary_key=True),
    sql.Column("value", sql.Float),  # none where it is not defined
)


class HasRuntime(Protocol):
    """What says by what it was computed: a model, or a provenance."""

    @property
    def runtime(self) -> str: ...
    @property
    def dtype(self) -> str: ...


def precision_of(by: HasRuntime) -> str:
    """Runtime and number format, such as `openvino float32`: two runtimes round differently."""
    return f"{by.runtime} {by.dtype}"


def key_of(request: Request, model_digest: str, mode: str, precision: str) -> str:
    """sha256 of their canonical JSON, 64 hex digits."""
    parts = {"request": request.digest, "model": model_digest, "mode": mode, "precision": precision}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def key_of_picture(picture: Picture) -> str:
    """The key under which this picture is kept."""
    p = picture.provenance
    return key_of(picture.request, p.model_digest, p.mode, precision_of(p))


@dataclass(frozen=True)
class StoreRow:
    """A row of the index: what can be asked without opening the picture."""

    key: str
    request: str  # canonical JSON
    model: str
    model_digest: str
    mode: str
    precision: str
    prompt: str
    seed: int
    evaluations: int
    seconds: float
    created: str  # ISO 8601, UTC
    bytes: int  # of the file
    pixels: str  # sha256 of the pixels

    @classmethod
    def of(cls, picture: Picture, size: int) -> StoreRow:
        """The row of a picture whose file has so many bytes."""
        r, p = picture.request, picture.provenance
        return cls(
            key_of_picture(picture),
            r.to_json().replace("\0", ""),
            p.model,
            p.model_digest,
            p.mode,
            precision_of(p),
            r.prompt.replace("\0", ""),  # which PostgreSQL has in no text
            r.seed,
            p.evaluations,
            p.seconds,
            p.created,
            size,
            picture.digest,
        )


class StoreIndex:
    """Rows in and out. What it holds can be made again from the files."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url, "index", "NORMAL")  # a lost row is made again from its file

    def prepare(self) -> None:
        """Make the tables where there are none. DBAPIError where the database is damaged or away."""
        _TABLES.create_all(self._engine)
        self.count()

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    def add(self, row: StoreRow) -> None:
        """Enter a picture, in place of a row with its key."""
        with self._engine.begin() as link:
            link.execute(_PICTURES.delete().where(_PICTURES.c.key == row.key))
            link.execute(_PICTURES.insert().values(**asdict(row)))

    def drop(self, keys: Iterable[str]) -> None:
        """Forget pictures, their metrics too."""
        with self._engine.begin() as link:
            for some in _batches(keys):
                for table in (_PICTURES, _METRICS):
                    link.execute(table.delete().where(table.c.key.in_(some)))

    def count(self) -> int:
        """Of all pictures."""
        with self._engine.connect() as link:
            return int(link.execute(sql.select(sql.func.count()).select_from(_PICTURES)).scalar_one())

    def rows(self, keys: Iterable[str]) -> dict[str, StoreRow]:
        """The rows of those of the keys that have one."""
        found = {}
        with self._engine.connect() as link:
            for some in _batches(keys):
                for row in link.execute(sql.select(_PICTURES).where(_PICTURES.c.key.in_(some))):
                    found[row.key] = _row_of(row)
        return found

    def query(
        self, model: str = "", prompt: str = "", before: str = "", limit: int = 0
    ) -> Iterator[StoreRow]:
        """Newest first; those of a model, whose prompt has these words, made before a time; `limit` 0: all."""
        asked = sql.select(_PICTURES).order_by(_PICTURES.c.created.desc(), _PICTURES.c.key)
        if model:
            asked = asked.where(_PICTURES.c.model == model)
        if prompt:
            asked = asked.where(_PICTURES.c.prompt.icontains(prompt, autoescape=True))
        if before:
            asked = asked.where(_PICTURES.c.created < before)
        with self._engine.connect() as link:
            for row in link.execution_options(yield_per=_MANY).execute(asked.limit(limit or None)):
                yield _row_of(row)

    def keys_with_prefix(self, prefix: str) -> list[str]:
        """Keys that begin so, at most a few."""
        asked = (
            sql.select(_PICTURES.c.key).where(_PICTURES.c.key.startswith(prefix, autoescape=True)).limit(3)
        )
        with self._engine.connect() as link:
            return [row.key for row in link.execute(asked)]

    def set_metrics(self, values: Mapping[str, Mapping[str, float]]) -> None:
        """Enter metrics by key and name, in place of those with their names, in one transaction."""
        rows = [
            {"key": key, "name": name, "value": None if math.isnan(value) else value}
            for key, named in values.items()
            for name, value in named.items()
        ]
        if not rows:
            return
        old = _METRICS.delete().where(
            _METRICS.c.key == sql.bindparam("key_"), _METRICS.c.name == sql.bindparam("name_")
        )
        with self._engine.begin() as link:
            link.execute(old, [{"key_": row["key"], "name_": row["name"]} for row in rows])
            link.execute(_METRICS.insert(), rows)

    def metrics(self, keys: Iterable[str]) -> dict[str, dict[str, float]]:
        """{key: {name: value}}; NaN where one is not defined."""
        found: dict[str, dict[str, float]] = {}
        with self._engine.connect() as link:
            for some in _batches(keys):
                for key, name, value in link.execute(sql.select(_METRICS).where(_METRICS.c.key.in_(some))):
                    found.setdefault(key, {})[name] = math.nan if value is None else float(value)
        return found


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    left = iter(keys)
    while some := list(islice(left, _MANY)):
        yield some


def _row_of(row: sql.Row[Any]) -> StoreRow:
    return StoreRow(**{field.name: getattr(row, field.name) for field in fields(StoreRow)})


def open_engine(url: str, what: str, synchronous: Literal["NORMAL", "FULL"]) -> sql.Engine:
    """The engine of a database, for SQLite with readers beside a writer. ConfigError where no `what` can be opened.

    `synchronous`: FULL where a commit must outlive a power cut; NORMAL where a lost row can be made again.
    """
    try:
        made = sql.make_url(url)
        timeout = {"timeout": 60} if made.get_backend_name() == "sqlite" else {}
        engine = sql.create_engine(made, connect_args=timeout)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        line = str(error).splitlines()[0]
        raise ConfigError(f"no {what} can be opened at {url.split('@')[-1][:100]}: {line}") from None

    def use_wal(connection: Any, record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")

    if engine.dialect.name == "sqlite":
        sql.event.listen(engine, "connect", use_wal)
    return engine
