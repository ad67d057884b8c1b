"""Killed at any instant, a study goes on: nothing lost, nothing twice, nothing torn, and the same bits."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mezzotint.store import Store
from mezzotint.store.upkeep import verify
from support.tiny_study import PICTURES, STUDY, drawn


class Server:
    """Draws the study in processes of its own."""

    def __init__(self) -> None:
        self.server = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "support.tiny_study"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, cwd=Path(__file__).parents[1], env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def start(self, folder: Path) -> int:
        assert self.server.stdin and self.server.stdout
        self.server.stdin.write(f"{folder}\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def ended(self) -> int:
        assert self.server.stdout
        return int(self.server.stdout.readline())


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.server.communicate(timeout=30)


def kept(folder: Path) -> dict[str, str]:
    """Key and pixels of every row."""
    with Store.open(folder) as store:
        return {row.key: row.pixels for row in store.query()}


def killed(server: Server, folder: Path, kills: int, seed: int) -> None:
    """A study that is killed so often, over as many stores as that takes, each finished and compared."""
    rng, met, stores = random.Random(seed), 0, 0
    began = time.monotonic()
    server.start(folder / "whole")
    assert server.ended() == 0
    lasts, whole = time.monotonic() - began, kept(folder / "whole")
    assert len(whole) == PICTURES
    while met < kills:
        stores += 1
        store = folder / str(stores)
        for _ in range(min(8, kills - met)):
            before = {path.name for path in store.glob("pictures/*/*.png")}
            pid = server.start(store)
            time.sleep(rng.uniform(0, 0.4 * lasts))
            with suppress(ProcessLookupError):  # it has come to the end
                os.kill(pid, signal.SIGKILL)
            met += server.ended() == -signal.SIGKILL
            assert before <= {path.name for path in store.glob("pictures/*/*.png")}, seed
        server.start(store)
        assert server.ended() == 0
        assert kept(store) == whole, seed
        with Store.open(store) as opened:
            found = verify(opened)
            assert (found.pictures, found.torn, found.unlisted, found.lost) == (PICTURES, [], [], []), seed
            verify(opened, repair=True)
            assert verify(opened).ok


def test_killed_at_random_instants_a_study_ends_with_the_same_bits(server: Server, tmp_path: Path) -> None:
    killed(server, tmp_path, kills=6, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_fifty_times(server: Server, tmp_path: Path, seed: int) -> None:
    killed(server, tmp_path, kills=50, seed=seed)


def test_two_processes_draw_the_same_study_into_one_store(server: Server, tmp_path: Path) -> None:
    server.start(tmp_path / "store")
    drawn(tmp_path / "store")
    assert server.ended() == 0
    drawn(tmp_path / "alone")
    assert kept(tmp_path / "store") == kept(tmp_path / "alone")
    assert len(kept(tmp_path / "store")) == STUDY.count
    with Store.open(tmp_path / "store") as store:
        assert verify(store).ok


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_all_that_is_finished_kept(
    server: Server, tmp_path: Path, number: signal.Signals
) -> None:
    pid = server.start(tmp_path / "store")
    while len(list(tmp_path.glob("store/pictures/*/*.png"))) < 2:
        time.sleep(0.005)
    os.kill(pid, number)
    assert server.ended() == 128 + number
    with Store.open(tmp_path / "store") as store:
        found = verify(store)
    assert found.ok
    assert 2 <= found.pictures < PICTURES
