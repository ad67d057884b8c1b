"""Many pictures: memory that does not grow with them, and threads that have the next batch ready."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from mezzotint.data.pictures.folder import Order, PictureFolder
from mezzotint.data.pictures.prefetch import LruArrays, Prefetcher
from support.picture_files import noise

MB = 2**20


def many(folder: Path, count: int) -> Path:
    """A few small PNGs under very many names, a thousand a folder."""
    (folder / "real").mkdir(parents=True)
    for index in range(8):
        noise(72, 64, seed=index).save(folder / f"real/{index}.png")
    for index in range(count - 8):
        place = folder / f"{index // 1000:03}"
        place.mkdir(exist_ok=True)
        (place / f"a-name-of-usual-length-{index:06}.png").symlink_to(folder / f"real/{index % 8}.png")
    return folder


def memory() -> float:
    return float(psutil.Process().memory_info().rss / MB)


def epoch_in_flat_memory(root: Path, count: int, growth: float) -> None:
    many(root, count)
    before = memory()
    folder = PictureFolder.open(root, 64, cache=8 * MB)
    opened, batch, seen, peak = memory(), 100, 0, 0.0
    for step in range(folder.steps_per_epoch(batch)):
        seen += len(set(folder.batch(0, step, batch).indices))
        peak = max(peak, memory() if step % 20 == 0 else 0)
    folder.close()
    assert seen == len(folder) == count
    assert opened - before < growth  # paths, sides, and what looking through them took for a while
    assert peak - opened < 8 + growth  # the cache, and batches on the way
    assert folder._recent.bytes <= 8 * MB


def test_an_epoch_is_in_flat_memory(tmp_path: Path) -> None:
    epoch_in_flat_memory(tmp_path, 2000, 24)


@pytest.mark.slow
def test_an_epoch_over_100_000_pictures_is_in_flat_memory(tmp_path: Path) -> None:
    epoch_in_flat_memory(tmp_path, 100_000, 48)


def test_the_order_of_100_000_costs_little_and_is_fixed() -> None:
    order = Order(100_000)
    began = time.thread_time()
    walk = [order.at(7, position) for position in range(99_990, 100_010)]
    assert time.thread_time() - began < 1
    assert len(set(walk[:10])) == len(set(walk[10:])) == 10
    assert [Order(5).at(7, position) for position in range(10)] == [3, 4, 2, 0, 1, 2, 4, 0, 3, 1]


def test_the_next_batches_are_ready_when_a_step_is_done(tmp_path: Path) -> None:
    """Steps of thrice the time of their batches hardly wait, where without threads they would wait for all of it."""
    for index in range(64):
        noise(200, 200, seed=index).save(tmp_path / f"{index}.png")
    alone, ready = (PictureFolder.open(tmp_path, 64, cache=0, workers=2, ahead=ahead) for ahead in (0, 2))
    for step in range(10):
        alone.batch(0, step, 8)
    ready.batch(0, 0, 8)
    first = ready.wait_seconds
    for step in range(1, 11):
        time.sleep(3 * alone.wait_seconds / 10)  # as a network that computes without the interpreter
        ready.batch(0, step, 8)
    ready.close()
    assert ready.wait_seconds - first < 0.4 * alone.wait_seconds


def test_no_more_than_asked_is_made_ahead() -> None:
    made: list[int] = []
    ahead: Prefetcher[int, int] = Prefetcher(lambda key: made.append(key) or key * key, 1)
    assert ahead.get(3, (4, 5)) == 9
    assert ahead.get(10, (11,)) == 100
    ahead.close()
    assert set(made) <= {3, 4, 5, 10, 11} and ahead.get(2) == 4
    ahead.close()


def test_what_fails_ahead_fails_when_its_turn_comes() -> None:
    ahead: Prefetcher[int, float] = Prefetcher(lambda key: 1 / key, 2)
    assert ahead.get(2, (1, 0)) == 0.5
    assert ahead.get(1, (0,)) == 1
    with pytest.raises(ZeroDivisionError):
        ahead.get(0)
    assert ahead.get(4) == 0.25
    ahead.close()


def test_recent_arrays_stay_within_their_bytes_from_many_threads() -> None:
    recent = LruArrays(1000)
    wrong: list[int] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for number in rng.integers(0, 40, 500).tolist():
            made = recent.get(number, lambda number=number: np.full(100, number, np.uint8))
            wrong.extend([number] if made[0] != number or recent.bytes > 1100 * len(threads) else [])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and recent.bytes == 100 * len(recent._arrays) <= 1000


def test_the_last_used_stay() -> None:
    recent, made = LruArrays(300), list[int]()

    def get(number: int) -> None:
        recent.get(number, lambda: made.append(number) or np.zeros(100, np.uint8))

    for number in (1, 2, 3, 1, 4, 1, 2):
        get(number)
    assert made == [1, 2, 3, 4, 2]


def test_threads_end_with_the_folder(tmp_path: Path) -> None:
    before = threading.active_count()
    for _ in range(3):
        folder = PictureFolder.open(many(tmp_path / os.urandom(4).hex(), 20), 16, workers=2)
        folder.batch(0, 0, 4)
        folder.close()
    assert threading.active_count() == before
