"""Requests that differ in guidance which is not yet active go along as one, and nobody can tell by the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzotint.engine import Engine, Mode
from mezzotint.engine.prefix_sharing import count_shared, guidance_calls, prefix_tree
from mezzotint.errors import ModelError
from mezzotint.guidance import LossGradient, LossQuery, Steer
from mezzotint.picture import Picture
from mezzotint.planning import plan
from mezzotint.request import Request
from mezzotint.samplers import SAMPLERS
from support.toy import SICK, Toy, schedule

SCHEDULE = schedule()
WOBBLE = 3e-5
GUIDANCE = (
    "none", "cfg(3)", "cfg(3, stop=0.5)", "cfg(5, start=0.5)", "cfg(5, start=0.75)", "cfg(3, stop=0.5, adaptive=0.2)",
    "cfg(3) + mix('a dog', 2, start=0.6)", "cfg(3) + color('red', effect=0.2, start=0.5)",
    "cfg(3) + color('red', effect=0.4, start=0.5)", "cfg(3) + clip('a dog', effect=0.1, start=0.25)",
)  # fmt: skip
STEPS = 8


@dataclass
class Steered(Toy):
    """The toy, with gradients that depend on the term and on its random numbers."""

    def ready(self, term: Steer) -> None: ...

    def facts(self, term: Steer) -> dict[str, str]:
        return {}

    def loss_gradients(self, jobs: Sequence[LossQuery], alone: bool) -> list[LossGradient]:
        return [
            LossGradient(1.0, np.float32(len(str(j.term))) - j.latents + np.float32(j.rng.standard_normal()))
            for j in jobs
        ]

    def pullback(self, *inputs: object) -> None: ...


def made(requests: Sequence[Request], mode: Mode, share: bool) -> tuple[list[Picture], int]:
    """Their pictures, and the rows that it took."""
    with Engine(Steered(SCHEDULE, WOBBLE), mode) as engine:
        pictures = [f.result() for f in engine.submit_all(requests, trace=1, share=share)]
        return pictures, engine.stats.rows


def told(picture: Picture) -> tuple[object, ...]:
    p = picture.provenance
    return picture.digest, [s.x0.tobytes() for s in picture.trace], picture.ledger, p.evaluations, p.warnings


requests = st.lists(
    st.builds(
        Request,
        prompt=st.sampled_from(["a cat", "a rose"]),
        seed=st.integers(0, 1),
        steps=st.just(STEPS),
        sampler=st.sampled_from(sorted(SAMPLERS)),
        guidance=st.sampled_from(GUIDANCE),
    ),
    min_size=2,
    max_size=10,
)


@settings(max_examples=25, deadline=None)
@given(requests, st.sampled_from(sorted(SAMPLERS)))
def test_shared_beginnings_change_no_bit_of_exact(some: list[Request], sampler: str) -> None:
    some = [replace(r, sampler=sampler) if i % 3 else r for i, r in enumerate(some)]  # so that many share
    (shared, fewer), (alone, rows) = made(some, "exact", True), made(some, "exact", False)
    assert [told(p) for p in shared] == [told(p) for p in alone]
    assert fewer <= rows


@pytest.mark.parametrize("sampler", ["ddpm", "pndm", "dpmpp-2m", "euler-a", "heun"])
@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_a_sweep_of_late_guidance_computes_its_beginning_once(sampler: str, mode: Mode) -> None:
    base = Request("a cat", steps=STEPS, sampler=sampler)
    sweep = [replace(base, guidance=f"cfg({scale}, start=0.5)") for scale in range(2, 8)]
    (shared, fewer), (alone, rows) = made(sweep, mode, True), made(sweep, mode, False)
    compiled = [plan(r, SCHEDULE) for r in sweep]
    spare = count_shared([(p, guidance_calls(p, r.terms)) for p, r in zip(compiled, sweep, strict=True)])
    begin = int((compiled[0].step < STEPS // 2).sum())
    assert spare == (5 * begin, 5 * begin)
    assert rows - fewer == spare[1]
    for one, other in zip(shared, alone, strict=True):
        assert np.abs(np.asarray(one.image, int) - np.asarray(other.image, int)).max() <= (mode == "fast") * 2
        assert one.provenance.evaluations == compiled[0].evaluations


def test_the_tree_hangs_each_under_the_one_with_which_it_has_most_in_common() -> None:
    ways = ["aaaa", "aabb", "bbbb", "aabc", "aaaa"]
    assert prefix_tree([tuple(way) for way in ways]) == [(-1, 0), (0, 2), (-1, 0), (1, 3), (0, 3)]


def test_where_the_first_fails_the_others_go_all_the_way_themselves() -> None:
    poison = {"left": 1}

    def once(timestep: float) -> float:
        poison["left"] -= 1
        return np.nan if poison["left"] == 0 else 0.0

    base = Request(SICK, steps=STEPS)
    some = [replace(base, guidance=f"cfg({scale}, start=0.5)") for scale in (2, 3, 4)]
    with Engine(Toy(SCHEDULE, poison=once), "exact") as engine:
        first, *others = engine.submit_all(some, share=True)
        with pytest.raises(ModelError):
            first.result()
        digests = [f.result().digest for f in others]
    with Engine(Toy(SCHEDULE), "exact") as engine:
        assert digests == [f.result().digest for f in engine.submit_all(some[1:])]


@pytest.mark.parametrize("drain", [True, False])
def test_cancelling_any_of_them_leaves_no_one_waiting(drain: bool) -> None:
    base = Request("a cat", steps=STEPS)
    some = [replace(base, guidance=f"cfg({k + 2}, start={k / 10})") for k in range(1, 8)]
    for victim in range(len(some)):
        engine = Engine(Toy(SCHEDULE), "exact")
        futures = engine.submit_all(some, share=True)
        gone = futures[victim].cancel()  # unless it was faster
        engine.close(drain)
        assert all(future.done() for future in futures)
        if gone:
            with pytest.raises(CancelledError):
                futures[victim].result()
        assert engine.stats.pictures + engine.stats.cancelled == len(some)
        assert not drain or engine.stats.pictures == len(some) - gone
