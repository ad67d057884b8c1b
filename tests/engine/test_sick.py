"""A sick row dies alone, and says where."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mezzotint.engine import Engine, Mode, Progress
from mezzotint.engine.lane import Pool
from mezzotint.errors import MezzotintError, ModelError, RequestError
from mezzotint.picture import Picture
from mezzotint.planning import Plan, plan
from mezzotint.request import Request
from mezzotint.schedule import Schedule
from support.toy import Toy, schedule

NEIGHBORS = [Request("a cat", seed=i, steps=8, sampler=s) for i, s in enumerate(["ddpm", "lms", "unipc"])]
PATIENT = Request("the sick one", seed=9, steps=8, sampler="euler")
WOBBLE = 3e-5  # bits depend on the padded row count: it must not change when somebody dies
MODES: list[Mode] = ["fast", "exact"]


def run(toy: Toy, mode: Mode, patient: Request = PATIENT, **more: Any) -> tuple[Future[Picture], list[bytes]]:
    """The patient between its neighbors, all from the same call on; what the neighbors saw, to the bit."""
    opened: list[Future[Picture]] = []
    with Engine(toy, mode) as engine:
        gate = Request("gate", steps=1)

        def submit_all(_: Progress) -> None:
            for request in (NEIGHBORS[0], patient, *NEIGHBORS[1:]):
                extra = more if request is patient else {}
                opened.append(engine.submit(request, trace=1, **extra))

        engine.submit(gate, on_step=submit_all).result()
    bits = [b"".join(s.x0.tobytes() for s in f.result().trace) for f in (opened[0], *opened[2:])]
    return opened[1], bits


def nan_at(step: int) -> Callable[[float], float]:
    """NaN from that step of 8 on."""
    return lambda t: math.nan if t < 1000 - 1000 / 8 * (step - 1.5) else 0.0


def raises_for_the_sick(x: NDArray[Any], timestep: NDArray[Any], text: NDArray[Any]) -> None:
    if any(timestep[text[:, 0, 0] == 9] < 600):
        raise ValueError("no such token")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ({"poison": nan_at(3)}, r"step 3 of 8 \(euler\): the network gave NaN or infinity"),
        ({"poison": lambda t: math.inf}, r"step 1 of 8 \(euler\): the network gave NaN or infinity"),
        ({"poison": lambda t: 3e38}, r"step 1 of 8 \(euler\): guidance at scale 7.5 gave NaN or infinity"),
        ({"before": raises_for_the_sick}, r"step 4 of 8 \(euler\): ValueError: no such token"),
    ],
)
def test_a_row_that_the_network_fails_dies_alone(mode: Mode, trouble: dict[str, Any], message: str) -> None:
    healthy, expected = run(Toy(wobble=WOBBLE), mode)
    healthy.result()
    sick, bits = run(Toy(wobble=WOBBLE, **trouble), mode)
    with pytest.raises(ModelError, match=message):
        sick.result()
    assert bits == expected


@pytest.mark.parametrize("mode", MODES)
def test_a_listener_that_raises_costs_its_own_picture(mode: Mode) -> None:
    def listen(progress: Progress) -> None:
        if progress.done == 2:
            raise KeyError("full")

    _, expected = run(Toy(wobble=WOBBLE), mode)
    sick, bits = run(Toy(wobble=WOBBLE), mode, on_step=listen)
    with pytest.raises(ModelError, match=r"step 2 of 8 \(euler\): KeyError: 'full'"):
        sick.result()
    assert bits == expected


def test_a_text_or_a_decoder_that_raises_costs_its_own_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    _, expected = run(Toy(wobble=WOBBLE), "exact")
    encode, decode = Toy.encode_text, Toy.decode

    def no_text(self: Toy, text: str) -> Any:
        if text == PATIENT.prompt:
            raise RequestError("too long")
        return encode(self, text)

    with monkeypatch.context() as patch:
        patch.setattr(Toy, "encode_text", no_text)
        sick, bits = run(Toy(wobble=WOBBLE), "exact")
    with pytest.raises(RequestError, match=r"before step 1 of 8 \(euler\): too long"):
        sick.result()
    assert bits == expected

    def no_picture(self: Toy, latents: NDArray[np.float32]) -> Any:
        if np.abs(latents).max() > 1e6:
            raise MemoryError
        return decode(self, latents)

    monkeypatch.setattr(Toy, "decode", no_picture)
    sick, bits = run(Toy(wobble=WOBBLE, poison=lambda t: 1e9), "exact")
    with pytest.raises(ModelError, match=r"after step 8 of 8 \(euler\): MemoryError"):
        sick.result()
    assert bits == expected


def test_a_size_for_which_there_is_no_memory_costs_its_own_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    class Small(Pool):
        def __init__(self, capacity: int, size: int) -> None:
            if size > 4 * 8 * 8:
                raise MemoryError
            super().__init__(capacity, size)

    monkeypatch.setattr("mezzotint.engine.lane.Pool", Small)
    with Engine(Toy()) as engine:
        large, small = engine.submit_all([replace(PATIENT, width=128), PATIENT])
        assert str(large.exception()) == "before step 1 of 8 (euler): MemoryError"
        small.result()


def test_a_foreign_error_becomes_one_line() -> None:
    def before(*_: object) -> None:
        raise RuntimeError("Exception from src/core.cpp:1:\n\n  Check failed\n" + "at frame\n" * 99)

    with Engine(Toy(before=before)) as engine:
        text = str(engine.submit(PATIENT).exception())
    assert text.startswith(
        "step 1 of 8 (euler): RuntimeError: Exception from src/core.cpp:1: Check failed at frame"
    )
    assert "\n" not in text
    assert len(text) < 400


def test_a_network_that_always_raises_fails_everyone_and_the_engine_lives_on() -> None:
    broken = [True]

    def before(*_: object) -> None:
        if broken[0]:
            raise RuntimeError("out of memory")

    with Engine(Toy(before=before)) as engine:
        futures = [engine.submit(request) for request in NEIGHBORS]
        for future in futures:
            assert isinstance(future.exception(), ModelError)
        broken[0] = False
        engine.submit(NEIGHBORS[0]).result()
        assert (engine.stats.failed, engine.stats.pictures) == (3, 1)


def test_a_network_that_answers_in_another_shape_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Toy, "denoise", lambda self, x, *_: x[:, :3])
    with Engine(Toy()) as engine, pytest.raises(ModelError, match=r"gave \(2, 3, 8, 8\) for \(2, 4, 8, 8\)"):
        engine.submit(Request()).result()


@pytest.mark.parametrize(
    ("call", "message"),
    [(2, r"step 4 of 4 .*: the update before it gave"), (3, "after step 4 of 4 .*: the last update")],
)
def test_an_update_that_overflows_is_found(monkeypatch: pytest.MonkeyPatch, call: int, message: str) -> None:
    def steep(request: Request, schedule: Schedule) -> Plan:
        gentle = plan(request, schedule)
        update = gentle.update.copy()
        update[call] *= 1e39
        return replace(gentle, update=update)

    monkeypatch.setattr("mezzotint.engine.engine.plan", steep)
    with Engine(Toy()) as engine, pytest.raises(ModelError, match=message):
        engine.submit(Request(steps=4, sampler="euler")).result()


def test_x0_beyond_float32_is_found() -> None:
    with Engine(Toy(schedule("epsilon"), poison=lambda t: -3e38)) as engine:
        future = engine.submit(Request("sick", steps=4, sampler="euler", guidance="none"))
        assert "step 1 of 4 (euler): x0 is too large" in str(future.exception())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_in_the_engine_itself_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bug(BaseException):
        pass

    def before(*_: object) -> None:
        raise Bug

    engine = Engine(Toy(before=before))
    futures = [engine.submit(request) for request in NEIGHBORS[:1]]
    assert isinstance(futures[0].exception(timeout=10), MezzotintError)
    engine.close()
    with pytest.raises(MezzotintError, match=r"closed after .*Bug"):
        engine.submit(NEIGHBORS[1])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_upon_a_bug_leaves_nobody_waiting() -> None:
    class Bug(BaseException):
        pass

    def before(*_: object) -> None:
        engine._inbox.put(lambda: 1 / 0)
        opened.append(engine.submit(NEIGHBORS[1]))
        raise Bug

    opened: list[Future[Picture]] = []
    engine = Engine(Toy(before=before))
    assert isinstance(engine.submit(PATIENT).exception(timeout=10), MezzotintError)
    assert isinstance(opened[0].exception(timeout=10), MezzotintError)
    engine.close()
