"""What is asked: the same in every run, and as mixed as it says."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from mezzotint.bench import BenchSettings
from mezzotint.bench.requests import mixed_requests, single_requests
from mezzotint.samplers import SAMPLERS

SETTINGS = BenchSettings()


def test_deterministic() -> None:
    other = replace(SETTINGS, seed=SETTINGS.seed + 1)
    for make in (mixed_requests, single_requests):
        assert make(SETTINGS) == make(replace(SETTINGS))
        assert make(SETTINGS) != make(other)


def test_mixed_are_mixed() -> None:
    asked = mixed_requests(SETTINGS)
    assert len(asked) == SETTINGS.requests == 64
    counts = Counter(request.sampler for request in asked)
    assert set(counts) == set(SAMPLERS)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert [request.sampler for request in asked] != sorted(request.sampler for request in asked)
    steps = [request.steps for request in asked]
    assert 10 <= min(steps) < 15 < 45 < max(steps) <= 50
    scales = [request.terms.scales(1)[0] for request in asked]
    assert 1 <= min(scales) < 3 < 18 < max(scales) <= 20
    assert len({request.seed for request in asked}) == 64
    assert len({request.prompt for request in asked}) > 40
    assert any(request.negative_prompt for request in asked)


def test_no_single_prompt_comes_twice() -> None:
    asked = single_requests(replace(SETTINGS, repeats=50))
    assert len(asked) == 51  # one to warm up with
    assert len({request.prompt for request in asked}) == 51
    assert {request.steps for request in asked} == {SETTINGS.steps}
