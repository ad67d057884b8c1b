"""The engine's door: submit, cancel, close, progress, statistics."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import CancelledError, Future, wait
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mezzotint.engine import Engine, Progress, Stats
from mezzotint.errors import MezzotintError, RequestError
from mezzotint.picture import Picture
from mezzotint.request import Request
from support.toy import Toy

REQUEST = Request("a cat", steps=6, sampler="euler")
LONG = replace(REQUEST, steps=2000)


@pytest.mark.parametrize(
    ("toy", "request_", "message"),
    [
        (Toy(side_multiple=32), Request(width=80), "toy makes sides divisible by 32, not 80x64"),
        (Toy(), "a cat", "a Request is needed, got str"),
    ],
)
def test_what_cannot_be_is_refused_at_the_door(toy: Toy, request_: Request, message: str) -> None:
    with Engine(toy) as engine, pytest.raises(RequestError, match=message):
        engine.submit(request_)
    assert toy.calls == []


def test_a_plan_that_raises_is_refused_at_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    def plan(*_: object, **__: object) -> None:
        raise ZeroDivisionError("h")

    monkeypatch.setattr("mezzotint.engine.engine.plan", plan)
    with (
        Engine(Toy()) as engine,
        pytest.raises(RequestError, match="euler cannot be planned with 6 steps: h"),
    ):
        engine.submit(REQUEST)


def test_a_wrong_mode_is_refused() -> None:
    with pytest.raises(RequestError, match="did you mean 'exact'"):
        Engine(Toy(), "exakt")  # type: ignore[arg-type]


def test_what_is_submitted_at_once_runs_at_once_or_not_at_all() -> None:
    toy = Toy(side_multiple=16)
    several = [replace(REQUEST, seed=i) for i in range(5)]
    with Engine(toy) as engine:
        with pytest.raises(RequestError):
            engine.submit_all([*several, replace(REQUEST, width=72)])
        assert toy.calls == []
        assert len({future.result().digest for future in engine.submit_all(several)}) == 5
    assert toy.calls[0] == (8, 8)  # ten rows would be padded to sixteen


def test_a_size_has_its_own_budget() -> None:
    class Large(Toy):
        def max_rows_at(self, height: int, width: int) -> int:
            return 2 if height > 8 else 8

    toy = Large()
    with Engine(toy) as engine:
        wait(engine.submit_all(replace(REQUEST, seed=i, height=h) for i in range(4) for h in (64, 128)))
    assert sorted(set(toy.calls)) == [(2, 2), (8, 8)]


def test_many_threads_may_submit_and_one_computes() -> None:
    toy = Toy()
    with Engine(toy) as engine:
        digests: dict[int, str] = {}

        def ask(seed: int) -> None:
            digests[seed] = engine.submit(replace(REQUEST, seed=seed)).result().digest

        threads = [threading.Thread(target=ask, args=[seed]) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(digests.values())) == 8
    assert len(toy.callers) == 1
    assert threading.get_ident() not in toy.callers


def test_a_cancelled_picture_frees_its_rows_at_the_next_call() -> None:
    calls: list[int] = []
    toy = Toy(before=lambda x, *_: cancel_in_fifth_call(len(x)))

    def cancel_in_fifth_call(rows: int) -> None:
        calls.append(rows)
        if len(calls) == 5:
            assert future.cancel()

    with Engine(toy) as engine:
        future = engine.submit(LONG)
        done, pending = wait([future], timeout=10)  # waiting ends for who waits
        assert done
        assert not pending
        with pytest.raises(CancelledError):
            future.result()
        engine.submit(REQUEST).result()
        assert (engine.stats.cancelled, engine.stats.pictures) == (1, 1)
    assert len(toy.calls) == 5 + 6


def test_a_queued_picture_can_be_cancelled_before_it_runs() -> None:
    toy = Toy(max_rows=2)
    with Engine(toy) as engine:
        first, second, third = (engine.submit(replace(REQUEST, seed=i)) for i in range(3))
        assert second.cancel()
        first.result()
        third.result()
        wait([second], timeout=10)
    assert len(toy.calls) == 12


def test_a_storm_of_cancels_leaves_the_rest_alone() -> None:
    with Engine(Toy()) as engine:
        futures = [engine.submit(replace(REQUEST, seed=i, steps=20)) for i in range(60)]
        for future in futures[::2]:
            future.cancel()
        wait(futures, timeout=30)
        kept = [future.result().digest for future in futures[1::2]]
        again = engine.submit(replace(REQUEST, seed=1, steps=20)).result()
    assert len(set(kept)) == 30
    assert np.abs(np.asarray(futures[1].result().image, int) - np.asarray(again.image, int)).max() <= 2
    assert engine.stats.cancelled + engine.stats.pictures == 61


def test_close_finishes_what_was_submitted_and_refuses_more() -> None:
    engine = Engine(Toy())
    futures = [engine.submit(replace(REQUEST, seed=i)) for i in range(20)]
    engine.close()
    assert all(future.done() and future.result() for future in futures)
    engine.close()
    with pytest.raises(MezzotintError, match="closed"):
        engine.submit(REQUEST)
    assert "mezzotint-engine" not in {thread.name for thread in threading.enumerate()}


def test_close_without_drain_cancels() -> None:
    engine = Engine(Toy())
    futures = [engine.submit(replace(LONG, seed=i)) for i in range(20)]
    engine.close(drain=False)
    assert all(future.cancelled() for future in futures)


def test_an_exception_in_the_with_block_does_not_wait_for_pictures() -> None:
    def leave_in_haste() -> None:
        with Engine(Toy()) as engine:
            futures.append(engine.submit(LONG))
            raise KeyError("haste")

    futures: list[Future[Picture]] = []
    with pytest.raises(KeyError, match="haste"):
        leave_in_haste()
    assert futures[0].cancelled()


def test_a_program_that_ends_gives_up_what_is_under_way() -> None:
    program = """if True:
        import atexit
        atexit.register(lambda: print(future.cancelled(), engine._thread.is_alive()))  # the last to be called
        from mezzotint.engine import Engine
        from mezzotint.request import Request
        from support.toy import Toy
        engine = Engine(Toy())
        future = engine.submit(Request(steps=2000))
    """
    tests = Path(__file__).parents[1]
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tests, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "True False\n", "")


def test_a_thousand_requests_share_a_plan_and_are_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[object] = []
    check = Request.__post_init__
    monkeypatch.setattr(Request, "__post_init__", lambda self: checked.append(self) or check(self))
    requests = REQUEST.repeat(1000)
    checked.clear()
    with Engine(Toy()) as engine:
        futures = engine.submit_all(requests)
        for future in futures:
            future.cancel()
    assert len(checked) == 1


def test_the_engine_may_be_closed_from_its_own_thread() -> None:
    engine = Engine(Toy())
    future = engine.submit(REQUEST, on_step=lambda news: engine.close())
    assert future.result(timeout=10)
    engine.close()


def test_progress_tells_every_evaluation_and_its_x0_stays_valid() -> None:
    heard: list[Progress] = []
    with Engine(Toy(), on_step=heard.append) as engine:
        futures = [engine.submit(replace(REQUEST, seed=i, steps=5 + i), trace=1) for i in range(3)]
        pictures = [future.result() for future in futures]
    for i, picture in enumerate(pictures):
        mine = [news for news in heard if news.id == i]
        assert [news.done for news in mine] == list(range(1, 6 + i))
        assert {news.total for news in mine} == {5 + i}
        assert {news.request for news in mine} == {picture.request}
        for news, snapshot in zip(mine, picture.trace, strict=True):
            np.testing.assert_array_equal(news.x0, snapshot.x0)
            assert news.x0.shape == (4, 8, 8)
            assert not news.x0.flags.writeable


@pytest.mark.parametrize(("every", "kept"), [(0, []), (1, [1, 2, 3, 4, 5, 6, 7]), (3, [3, 6, 7]), (100, [7])])
def test_a_trace_keeps_every_so_many_and_the_last(every: int, kept: list[int]) -> None:
    with Engine(Toy()) as engine:
        picture = engine.submit(replace(REQUEST, steps=7), trace=every).result()
    assert [snapshot.evaluations for snapshot in picture.trace] == kept
    assert all(snapshot.x0.base is None for snapshot in picture.trace)  # not a view that keeps a batch alive


def test_statistics_add_up() -> None:
    toy = Toy()
    with Engine(toy) as engine:
        futures = [engine.submit(replace(REQUEST, seed=i, guidance="cfg(2, stop=0.5)")) for i in range(3)]
        evaluations = sum(future.result().provenance.evaluations for future in futures)
        stats = engine.stats
    assert stats.calls == len(toy.calls)
    assert stats.rows == sum(rows for rows, _ in toy.calls) == 3 * (3 * 2 + 3 * 1)
    assert stats.padded == sum(padded - rows for rows, padded in toy.calls)
    assert (stats.pictures, evaluations) == (3, 18)
    assert min(stats.network, stats.decoder, stats.text, stats.elsewhere) > 0
    assert stats.busy == pytest.approx(stats.network + stats.decoder + stats.text + stats.elsewhere)


def test_statistics_are_whole_when_a_picture_arrives() -> None:
    seen: list[Stats] = []
    listening = threading.Event()

    def wait_for_listener(_: Progress) -> None:
        listening.wait(10)

    with Engine(Toy(before=lambda *_: time.sleep(0.05))) as engine:
        future = engine.submit(replace(REQUEST, steps=1), on_step=wait_for_listener)
        future.add_done_callback(lambda _: seen.append(engine.stats))
        listening.set()
    assert seen[0].network > 0.05
    assert seen[0].elsewhere > 0


def test_pictures_say_where_they_come_from() -> None:
    with Engine(Toy(), "exact") as engine:
        plain, wide = (engine.submit(replace(REQUEST, width=w)).result() for w in (None, 96))
    p = plain.provenance
    assert p.threads == 0  # the toy does not tell
    assert (p.model, p.mode, p.runtime, p.evaluations, p.warnings) == ("toy", "exact", "numpy", 6, [])
    assert set(p.versions) == {"mezzotint", "numpy"}
    assert 0 < p.seconds < 10
    assert wide.image.size == (96, 64)
    assert wide.provenance.warnings == ["96x64 is not the size the model was trained at, 64x64"]


def test_a_kept_future_does_not_keep_what_made_it() -> None:
    texts: list[weakref.ref[object]] = []

    class Forgetful(Toy):
        def encode_text(self, text: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
            words = super().encode_text(text)
            texts.append(weakref.ref(words))
            return words

    with Engine(Forgetful()) as engine:
        future = engine.submit(REQUEST)
        future.result()
    del engine
    gc.collect()
    assert len(texts) == 2
    assert not any(ref() is not None for ref in texts)
    assert future.done()
