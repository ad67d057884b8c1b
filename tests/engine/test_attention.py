"""Attention in the engine: each picture has its own, and no picture changes because it was looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from mezzotint.attention import Attention
from mezzotint.engine import Engine
from mezzotint.errors import RequestError
from mezzotint.request import Request
from support.toy import SICK, Array, Toy

FACTORS = (1, 2)
TOKENS = 3


@dataclass
class Looking(Toy):
    """The toy with two layers that attend; what they see depends on x, on the text and on t, row by row."""

    attention_layers: tuple[str, ...] = ("down_blocks.0.attn2", "up_blocks.0.attn2")
    attention_factors: tuple[int, ...] = FACTORS
    looked: list[int] = field(default_factory=list)  # rows of each call

    def spans(self, text: str, encoder: str = "") -> tuple[tuple[str, tuple[int, ...]], ...]:
        if encoder == "random":
            raise RequestError("no words")
        return ("<start>", (0,)), (text or "nothing", (1,)), ("<end>", (2,))

    def attend(self, x: Array, timestep: Array, text: Array, rows: int) -> tuple[Array, list[Array]]:
        self.looked.append(len(x))
        return self.denoise(x, timestep, text, rows), [looks(x, timestep, text, f) for f in FACTORS]


def looks(x: Array, timestep: Array, text: Array, factor: int) -> Array:
    """(n, h*w, TOKENS)."""
    places = x.mean(1)[:, ::factor, ::factor].reshape(len(x), -1, 1)
    score = places * text[:, None, :, 0] + timestep[:, None, None] / 1000
    weights = np.exp(score) / (1 + np.exp(score))
    return np.asarray(weights / weights.sum(-1, keepdims=True), np.float32)


REQUESTS = [
    Request("a cat", seed=1, steps=4, sampler="euler", guidance="cfg(3)"),
    Request("a dog", seed=2, steps=7, sampler="heun", guidance="none"),
    Request("a cow", seed=3, steps=23, sampler="euler-a", guidance="cfg(2, stop=0.5)"),
]


def arrays(attention: Attention | None) -> list[Any]:
    assert attention is not None
    return [level.maps for level in attention.levels]


@pytest.mark.parametrize(("mode", "limit"), [("exact", 0), ("fast", 1e-5)])
def test_company_changes_no_map_and_looking_changes_no_picture(mode: Any, limit: float) -> None:
    toy = Looking(wobble=1e-7)
    with Engine(toy, mode) as engine:
        plain = [engine.submit(r).result() for r in REQUESTS]
        assert toy.looked == []
        alone = [engine.submit(r, attention=True).result() for r in REQUESTS]
        company = [f.result() for f in engine.submit_all(REQUESTS, attention=True)]
    assert max(toy.looked) > 2, "they shared calls"
    assert all(picture.attention is None for picture in plain)
    for first, one, other in zip(plain, alone, company, strict=True):
        assert first.digest == one.digest or mode == "fast"
        for ours, theirs in zip(arrays(one.attention), arrays(other.attention), strict=True):
            assert np.abs(ours - theirs).max() <= limit


def test_only_who_asks_shares_a_call_with_who_asks() -> None:
    toy = Looking()
    with Engine(toy) as engine:
        asked = engine.submit_all(REQUESTS[:1] * 3, attention=True)
        silent = engine.submit_all(REQUESTS[:1] * 2)
        pictures = [future.result() for future in [*asked, *silent]]
    assert [picture.attention is not None for picture in pictures] == [True] * 3 + [False] * 2
    assert sum(toy.looked) == 3 * 2 * 4
    assert sum(rows for rows, _ in toy.calls) == 5 * 2 * 4
    assert len({picture.digest for picture in pictures}) == 1


def test_it_is_the_mean_over_the_calls_of_the_rows_with_the_prompt() -> None:
    seen: list[tuple[Array, Array, Array]] = []
    toy = Looking(before=lambda *rows: seen.append(tuple(row.copy() for row in rows)))  # type: ignore[arg-type]
    with Engine(toy) as engine:
        attention = engine.submit(REQUESTS[0], attention=True).result().attention
    assert attention is not None and attention.calls == (1, 1, 1, 1)
    assert attention.words == {"a cat": (1,)}
    assert [level.name for level in attention.levels] == ["8x8", "4x4"]
    for call, rows in enumerate(seen):
        for level, factor in zip(attention.levels, FACTORS, strict=True):
            expected = looks(*rows, factor)[0].T.reshape(TOKENS, 8 // factor, 8 // factor)
            assert np.abs(level.maps[call] - expected).max() < 1e-6
    assert attention.heat("a cat").shape == (64, 64)


def test_two_calls_a_step_are_one_bin() -> None:
    with Engine(Looking()) as engine:
        attention = engine.submit(REQUESTS[1], attention=True).result().attention
    assert attention is not None
    assert attention.steps == tuple((n, n) for n in range(1, 8))
    assert attention.calls == (2, 2, 2, 2, 2, 2, 1)


def test_one_that_fails_takes_nobody_along() -> None:
    toy = Looking(poison=lambda timestep: float("nan") if timestep < 500 else 0.0)
    odd = Request("a cat", encoder="random", steps=4)
    with Engine(toy) as engine:
        sick, fine, wrong = engine.submit_all(
            [Request(f"a {SICK} cat", steps=4), *REQUESTS[:1], odd], attention=True
        )
        assert sick.exception() is not None
        assert isinstance(wrong.exception(), RequestError)
        assert fine.result().attention is not None


@pytest.mark.parametrize("toy", [Toy(), Looking(reads_text=False)])
def test_who_attends_to_no_words_says_so_before_any_work(toy: Toy) -> None:
    with (
        Engine(toy) as engine,
        pytest.raises(RequestError, match="toy attends to no words; leave attention out"),
    ):
        engine.submit(Request(steps=2), attention=True)
    assert toy.calls == []
