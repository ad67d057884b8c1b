"""What was accepted outlives the process: `kill -9` at random instants, and an orderly end."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest

from mezzotint import generate
from mezzotint.picture import Picture
from mezzotint.request import Request
from mezzotint.serve.journal import JobJournal
from support.toy import Toy

TESTS = Path(__file__).parents[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def server(store: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """A server that answers, and a client of it; killed at the end where it still runs."""
    port = free_port()
    paths = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, str(TESTS / "serve/slow_server.py"), str(store), str(port)],
        env={**os.environ, "PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            while True:
                try:
                    client.get("/healthz")
                    break
                except httpx.TransportError:
                    assert process.poll() is None, process.stderr and process.stderr.read()
                    time.sleep(0.05)
            yield process, client
    finally:
        process.kill()
        process.wait()
        assert process.stderr
        process.stderr.close()


@pytest.mark.parametrize("kills", [1, pytest.param(50, marks=pytest.mark.slow)])
def test_accepted_jobs_survive_kills_and_none_is_doubled(tmp_path: Path, kills: int) -> None:
    draw = random.Random(11)
    store, accepted = tmp_path / "store", dict[str, dict[str, Any]]()
    for turn in range(kills):
        with server(store) as (process, client):
            for n in range(6):
                order = {"prompt": f"a cat {turn} {n}", "seed": n, "steps": 5}
                answer = client.post("/v1/pictures", json=order, headers={"Idempotency-Key": f"{turn}-{n}"})
                accepted[answer.json()["id"]] = order
            time.sleep(draw.uniform(0, 0.6))
            process.send_signal(signal.SIGKILL)
            process.wait()
    with server(store) as (process, client):
        for turn, n in ((0, 0), (kills - 1, 5)):  # a retry after the kill is the same job
            order = {"prompt": f"a cat {turn} {n}", "seed": n, "steps": 5}
            headers = {"Idempotency-Key": f"{turn}-{n}"}
            assert client.post("/v1/pictures", json=order, headers=headers).json()["id"] in accepted
        for id_, order in accepted.items():
            with client.stream("GET", f"/v1/pictures/{id_}/events") as events:
                events.read()
            (tmp_path / "a.png").write_bytes(client.get(f"/v1/pictures/{id_}/images/0").content)
            picture = Picture.open(tmp_path / "a.png")
            [alone] = generate(Request(**order), Toy(), "exact")
            assert picture.request == alone.request
            assert (np.asarray(picture.image) == np.asarray(alone.image)).all()
        assert len(accepted) == 6 * kills
        listed = client.get("/v1/pictures", params={"limit": 200}).json()
        assert listed["pagination"]["total"] == len(accepted)
        assert all(job["state"] == "finished" for job in listed["jobs"])


def test_sigterm_finishes_what_is_drawn_and_says_so(tmp_path: Path) -> None:
    with server(tmp_path / "store") as (process, client):
        ids = [
            client.post("/v1/pictures", json={"steps": 30, "seed": seed, "n": 40}).json()["id"]
            for seed in range(2)
        ]
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert "draining" in said and process.returncode == -signal.SIGTERM
    journal = JobJournal(f"sqlite:///{tmp_path / 'store/jobs.sqlite'}")
    jobs = [job for job in map(journal.find, ids) if job]
    journal.close()
    assert sum(job.count("finished") for job in jobs) > 0
    assert sum(job.count("finished", "queued") for job in jobs) == 80
    assert any(job.count("queued") for job in jobs)  # for the next start
