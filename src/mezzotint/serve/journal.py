"""The journal of jobs in a database: what was accepted is there, whatever becomes of the process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError, IntegrityError

from mezzotint.errors import MezzotintError, OutputError
from mezzotint.request import Request
from mezzotint.serve.errors import ConflictError
from mezzotint.serve.jobs import ENDED, JobItem, JobOptions, PictureJob
from mezzotint.store.index import open_engine

_TABLES = sql.MetaData()
_JOBS = sql.Table(
    "jobs",
    _TABLES,
    sql.Column("id", sql.String(40), primary_key=True),
    sql.Column("client", sql.String(80), nullable=False),
    sql.Column("state", sql.String(10), nullable=False, index=True),  # as it ended; else queued
    sql.Column("priority", sql.Integer, nullable=False),
    sql.Column("options", sql.JSON, nullable=False),
    sql.Column("created", sql.Float, nullable=False, index=True),
    sql.Column("ended", sql.Float),
    sql.Column("idempotency", sql.String(200)),  # none where the client gave none
    sql.Column("asked", sql.String(64), nullable=False),
    sql.UniqueConstraint("client", "idempotency"),
)
_ITEMS = sql.Table(
    "job_pictures",
    _TABLES,
    sql.Column("job", sql.String(40), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("model", sql.Text, nullable=False),
    sql.Column("request", sql.Text, nullable=False),
    sql.Column("evaluations", sql.Integer, nullable=False),
    sql.Column("cost", sql.Float, nullable=False),
    sql.Column("state", sql.String(10), nullable=False),
    sql.Column("key", sql.String(64), nullable=False),
    sql.Column("error", sql.Text, nullable=False),
    sql.Column("seconds", sql.Float, nullable=False),
)
_STARS = sql.Table(
    "stars",
    _TABLES,
    sql.Column("job", sql.String(40), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
)
_MANY = 500  # jobs in one question


@dataclass(frozen=True)
class FinishedPicture:
    """A picture of the gallery."""

    job: str
    number: int
    model: str
    request: Request
    starred: bool


class JobJournal:
    """Jobs in and out. Any thread may call; a method that writes returns when it is on the disk."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url, "database", "FULL")  # an accepted job is written nowhere else
        try:
            _TABLES.create_all(self._engine)
        except DBAPIError as error:
            raise OutputError(f"the database of jobs does not answer: {_line(error)}") from None

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    def alive(self) -> bool:
        """Whether the database answers."""
        try:
            with self._engine.connect() as link:
                link.execute(sql.select(sql.literal(1)))
        except DBAPIError:
            return False
        return True

    def add(self, job: PictureJob) -> None:
        """Accept a job. ConflictError where the client's idempotency key is taken."""
        row = {
            "id": job.id,
            "client": job.client,
            "state": "queued",
            "priority": job.priority,
            "options": asdict(job.options),
            "created": job.created,
            "idempotency": job.idempotency or None,
            "asked": job.asked,
        }
        try:
            with self._writing() as link:
                link.execute(_JOBS.insert(), row)
                link.execute(_ITEMS.insert(), [_row(job, item) for item in job.items])
        except IntegrityError:
            raise ConflictError("this idempotency key is in use") from None

    def settle(self, job: PictureJob, items: Sequence[JobItem]) -> None:
        """Write down how pictures ended, and the job where it did with them."""
        ended = _ITEMS.update().where(
            _ITEMS.c.job == sql.bindparam("job_"), _ITEMS.c.number == sql.bindparam("number_")
        )
        names = ("state", "key", "error", "seconds")
        rows = [
            {"job_": job.id, "number_": i.number, **{name: getattr(i, name) for name in names}} for i in items
        ]
        with self._writing() as link:
            if rows:
                link.execute(ended.values({name: sql.bindparam(name) for name in names}), rows)
            if job.ended is not None:
                state = {"state": job.state, "ended": job.ended}
                link.execute(_JOBS.update().where(_JOBS.c.id == job.id).values(**state))

    def set_priority(self, job: PictureJob) -> None:
        """Write down a new priority."""
        with self._writing() as link:
            link.execute(_JOBS.update().where(_JOBS.c.id == job.id).values(priority=job.priority))

    def find(self, id_: str) -> PictureJob | None:
        """A job as it was last written down."""
        return next(self._jobs(sql.select(_JOBS).where(_JOBS.c.id == id_)), None)

    def of_key(self, client: str, key: str) -> tuple[str, str] | None:
        """The id of the job that a client's idempotency key stands for, and the digest of what was asked."""
        asked = sql.select(_JOBS.c.id, _JOBS.c.asked).where(
            _JOBS.c.client == client, _JOBS.c.idempotency == key
        )
        with self._engine.connect() as link:
            row = link.execute(asked).first()
        return (row.id, row.asked) if row else None

    def unfinished(self) -> Iterator[PictureJob]:
        """What is left to do, oldest first."""
        return self._jobs(
            sql.select(_JOBS).where(_JOBS.c.state.not_in(ENDED)).order_by(_JOBS.c.created, _JOBS.c.id)
        )

    def listed(
        self, states: Sequence[str], limit: int, offset: int, without: Sequence[str] = ()
    ) -> tuple[list[PictureJob], int]:
        """A page of jobs with these states as written down, newest first, and how many there are in all."""
        where = sql.and_(_JOBS.c.state.in_(states) if states else sql.true(), _JOBS.c.id.not_in(without))
        order = _JOBS.c.created.desc(), _JOBS.c.id
        page = sql.select(_JOBS).where(where).order_by(*order).limit(limit).offset(offset)
        with self._engine.connect() as link:
            total = link.execute(sql.select(sql.func.count()).select_from(_JOBS).where(where)).scalar_one()
        return list(self._jobs(page)), int(total)

    def finished_pictures(
        self, search: str, starred: bool, limit: int, offset: int
    ) -> tuple[list[FinishedPicture], int]:
        """A page of finished pictures, newest first, and how many there are; `search`: words of their requests."""
        star = sql.and_(_STARS.c.job == _ITEMS.c.job, _STARS.c.number == _ITEMS.c.number)
        table = _ITEMS.join(_JOBS, _JOBS.c.id == _ITEMS.c.job).join(_STARS, star, isouter=not starred)
        words = [_ITEMS.c.request.icontains(word, autoescape=True) for word in search.split()]
        where = sql.and_(_ITEMS.c.state == "finished", *words)
        order = _JOBS.c.created.desc(), _ITEMS.c.job, _ITEMS.c.number.desc()
        columns = _ITEMS.c.job, _ITEMS.c.number, _ITEMS.c.model, _ITEMS.c.request, _STARS.c.job.label("star")
        page = (
            sql.select(*columns).select_from(table).where(where).order_by(*order).limit(limit).offset(offset)
        )
        with self._engine.connect() as link:
            total = link.execute(sql.select(sql.func.count()).select_from(table).where(where)).scalar_one()
            rows = link.execute(page).all()
        found = [
            FinishedPicture(
                row.job, row.number, row.model, Request.from_json(row.request), row.star is not None
            )
            for row in rows
        ]
        return found, int(total)

    def star(self, job: str, number: int, starred: bool) -> None:
        """Mark a picture, or take its mark away. Doing so again is no error."""
        own = sql.and_(_STARS.c.job == job, _STARS.c.number == number)
        with self._writing() as link:
            link.execute(_STARS.delete().where(own))
            if starred:
                link.execute(_STARS.insert(), {"job": job, "number": number})

    @contextmanager
    def _writing(self) -> Iterator[sql.Connection]:
        """A transaction. OutputError where it cannot be written, such as on a full disk."""
        try:
            with self._engine.begin() as link:
                yield link
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise OutputError(f"jobs cannot be written down: {_line(error)}") from None

    def _jobs(self, asked: sql.Select[Any]) -> Iterator[PictureJob]:
        with self._engine.connect() as link:
            rows = link.execute(asked).all()
            for i in range(0, len(rows), _MANY):
                some = rows[i : i + _MANY]
                items: dict[str, list[JobItem]] = {row.id: [] for row in some}
                wanted = sql.select(_ITEMS).where(_ITEMS.c.job.in_(items)).order_by(_ITEMS.c.number)
                for row in link.execute(wanted):
                    items[row.job].append(_item(row))
                yield from (_job(row, items[row.id]) for row in some)


def _row(job: PictureJob, item: JobItem) -> dict[str, Any]:
    names = ("number", "model", "evaluations", "cost", "state", "key", "error", "seconds")
    return {
        "job": job.id,
        "request": item.request.to_json(),
        **{name: getattr(item, name) for name in names},
    }


def _item(row: sql.Row[Any]) -> JobItem:
    """One whose request is of another version and cannot be read any more has failed."""
    state, error = row.state, row.error
    try:
        request = Request.from_json(row.request)
    except MezzotintError as reason:
        request = Request()
        if state not in ENDED:
            state, error = "failed", f"the request cannot be read any more: {reason}"
    item = JobItem(row.number, row.model, request, row.evaluations, row.cost)
    item.state, item.key, item.error, item.seconds = state, row.key, error, row.seconds
    item.done = item.evaluations if item.state == "finished" else 0
    return item


def _job(row: sql.Row[Any], items: list[JobItem]) -> PictureJob:
    job = PictureJob(row.client, items, JobOptions(**row.options), row.priority, row.id, row.created)
    job.ended, job.idempotency, job.asked = row.ended, row.idempotency or "", row.asked
    return job


def _line(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0][:200]
