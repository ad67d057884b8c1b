"""The two promises: what a request gives does not depend on who else is there, nor when they come and go."""

from __future__ import annotations

from concurrent.futures import Future, wait
from dataclasses import replace
from functools import cache
from itertools import count
from threading import Lock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mezzotint.engine import Engine, Mode
from mezzotint.picture import Picture
from mezzotint.request import Request
from mezzotint.samplers import SAMPLERS
from support.toy import Toy, schedule

SCHEDULE = schedule()
WOBBLE = 3e-5  # far above what the last bits of float32 do, and yet within the promise of `fast`

requests = st.builds(
    Request,
    prompt=st.sampled_from(["", "a cat", "a dog on the moon"]),
    negative_prompt=st.sampled_from(["", "", "rain"]),
    seed=st.integers(0, 3),
    steps=st.integers(1, 8),
    sampler=st.sampled_from(sorted(SAMPLERS)),
    guidance=st.sampled_from(["none", "cfg(3)", "cfg(2, start=0.5)", "cfg(-1, stop=0.5)"]),
    height=st.sampled_from([None, None, 80]),
)
company = st.lists(
    st.tuples(requests, st.integers(0, 25)), min_size=1, max_size=14
)  # when: the network's calls
in_company = settings(max_examples=40, deadline=None)


def together(arrivals: list[tuple[Request, int]], mode: Mode) -> list[Picture]:
    """Each request is submitted while the network is in its n-th call, or when nobody else will make one."""
    waiting, calls, lock = dict(enumerate(arrivals)), count(), Lock()
    futures: dict[int, Future[Picture]] = {}

    def let_in(call: float) -> None:
        with lock:
            for i in [i for i, (_, when) in waiting.items() if when <= call]:
                futures[i] = engine.submit(waiting[i][0], trace=1)
                del waiting[i]

    with Engine(Toy(SCHEDULE, WOBBLE, before=lambda *_: let_in(next(calls))), mode) as engine:
        while waiting:
            let_in(min((when for _, when in waiting.copy().values()), default=0))
            wait(list(futures.values()))
    return [futures[i].result() for i in range(len(arrivals))]


@cache
def alone(request: Request, mode: Mode) -> Picture:
    with Engine(Toy(SCHEDULE, WOBBLE), mode) as engine:
        return engine.submit(request, trace=1).result()


def latents(picture: Picture) -> NDArray[np.float32]:
    return np.stack([snapshot.x0 for snapshot in picture.trace])


@in_company
@given(company)
def test_exact_is_exact(arrivals: list[tuple[Request, int]]) -> None:
    for (request, _), picture in zip(arrivals, together(arrivals, "exact"), strict=True):
        assert latents(picture).tobytes() == latents(alone(request, "exact")).tobytes()
        assert picture.digest == alone(request, "exact").digest


@in_company
@given(company)
def test_fast_is_within_rounding(arrivals: list[tuple[Request, int]]) -> None:
    for (request, _), picture in zip(arrivals, together(arrivals, "fast"), strict=True):
        difference = np.asarray(picture.image, int) - np.asarray(alone(request, "fast").image, int)
        assert np.abs(difference).max() <= 2


def test_the_toy_would_betray_an_engine_that_is_not_exact() -> None:
    some = [Request("a cat", seed=seed, steps=8) for seed in range(5)]
    pictures = together([(request, 0) for request in some], "fast")
    assert any(
        latents(p).tobytes() != latents(alone(r, "fast")).tobytes()
        for r, p in zip(some, pictures, strict=True)
    )


def test_exact_pads_every_call_to_one_row_count_and_splits_nobody() -> None:
    toy = Toy()
    with Engine(toy, "exact") as engine:
        for future in [engine.submit(Request("a", seed=i, steps=1 + i)) for i in range(9)]:
            future.result()
    assert {padded for _, padded in toy.calls} == {8}
    assert all(rows % 2 == 0 for rows, _ in toy.calls)


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_equal_requests_give_equal_pictures(mode: Mode) -> None:
    same = Request("a cat", seed=5, steps=7, sampler="ddpm")
    digests = {picture.digest for picture in together([(same, 0)] * 8, mode)}
    others = {picture.digest for picture in together([(replace(same, seed=i), 0) for i in range(8)], mode)}
    assert len(digests) == 1
    assert len(others) == 8
