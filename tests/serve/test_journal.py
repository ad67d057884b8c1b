"""Jobs on the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from mezzotint.errors import OutputError
from mezzotint.request import Request
from mezzotint.serve.errors import ConflictError
from mezzotint.serve.jobs import JobItem, JobOptions, PictureJob
from mezzotint.serve.journal import JobJournal
from support.serving import servers
from support.toy import Toy


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[JobJournal]:
    opened = JobJournal(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    yield opened
    opened.close()


def job(**more: object) -> PictureJob:
    items = [JobItem(n, "m", Request("a \0 cät", seed=n, steps=3), 3, 6.0) for n in range(3)]
    return PictureJob("me", items, JobOptions(preview=2, trace=1), 4, **more)  # type: ignore[arg-type]


def test_a_job_comes_back_as_it_was(journal: JobJournal) -> None:
    journal.add(one := job())
    back = journal.find(one.id)
    assert back and (back.client, back.options, back.priority, back.created, back.state) == (
        one.client,
        one.options,
        one.priority,
        one.created,
        "queued",
    )
    assert [item.request for item in back.items] == [item.request for item in one.items]
    assert [item.cost for item in back.items] == [6.0] * 3
    assert journal.find("job-0") is None


def test_what_has_not_ended_is_unfinished(journal: JobJournal) -> None:
    journal.add(one := job())
    journal.add(two := job())
    for item in one.items:
        item.state = "finished"
    one.ended = one.created + 1
    journal.settle(one, one.items)
    two.items[1].state = "running"  # which is written nowhere
    [left] = journal.unfinished()
    assert left.id == two.id and left.count("queued") == 3
    back = journal.find(one.id)
    assert back and back.state == "finished" and back.ended == one.ended


def test_a_key_of_a_client_is_taken_once(journal: JobJournal) -> None:
    journal.add(one := job(idempotency="k", asked="a" * 64))
    with pytest.raises(ConflictError):
        journal.add(job(idempotency="k"))
    assert journal.of_key("me", "k") == (one.id, "a" * 64) and journal.of_key("you", "k") is None
    journal.add(job())
    journal.add(job())  # none has any


def test_a_request_of_another_version_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    journal = JobJournal(f"sqlite:///{tmp_path / 'store/jobs.sqlite'}")
    one = PictureJob("me", [JobItem(n, "toy", Request(seed=n, steps=2)) for n in range(2)])
    journal.add(one)
    journal.close()
    with sqlite3.connect(tmp_path / "store/jobs.sqlite") as link:
        link.execute("UPDATE job_pictures SET request = '{\"colour\": 1}' WHERE number = 1")
    link.close()
    with servers(tmp_path / "store") as serve:
        client = serve(Toy())
        with client.stream("GET", f"/v1/pictures/{one.id}/events") as events:
            events.read()
        first, second = client.get(f"/v1/pictures/{one.id}").json()["pictures"]
        assert first["state"] == "finished"
        assert second["state"] == "failed" and "cannot be read" in second["error"]


def test_a_disk_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").mkdir()
    with pytest.raises(OutputError, match="does not answer"):
        JobJournal(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
