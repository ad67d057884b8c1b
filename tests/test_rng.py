"""The generator draws what torch draws, in any order of sizes."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mezzotint.rng import Generator, normals

SEEDS = (0, 7, 2**32 + 5, 2**63 - 1)
SIZES = (1, 15, 16, 17, 1024, 4 * 64 * 64)


def torch_draws(seed: int, sizes: list[int]) -> list[np.ndarray]:
    generator = torch.Generator("cpu").manual_seed(seed)
    return [torch.randn(size, generator=generator).numpy() for size in sizes]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("size", SIZES)
def test_same_noise_as_torch(seed: int, size: int) -> None:
    ours = Generator(seed).normal((size,))
    assert ours.dtype == np.float32
    assert ours == pytest.approx(torch_draws(seed, [size])[0], abs=1e-6)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**63 - 1), st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_consecutive_draws_of_mixed_sizes(seed: int, sizes: list[int]) -> None:
    """Odd draws below 16 leave half a pair for the next one."""
    ours = Generator(seed)
    for size, theirs in zip(sizes, torch_draws(seed, sizes), strict=True):
        assert ours.normal((size,)) == pytest.approx(theirs, abs=1e-6)


def test_shapes() -> None:
    generator = torch.Generator("cpu").manual_seed(11)
    ours = Generator(11)
    for shape in ((1, 4, 16, 16), (4, 2, 2), (3, 1), ()):
        theirs = torch.randn(shape, generator=generator).numpy()
        assert ours.normal(shape).shape == shape
        assert Generator(5).normal((0, 3)).shape == (0, 3)
        assert theirs.shape == shape
    assert ours.normal((16,)) == pytest.approx(torch.randn(16, generator=generator).numpy(), abs=1e-6)


@pytest.mark.parametrize("size", [5, 16, 40, 1024])
def test_noise_of_several_is_what_each_draws_alone(size: int) -> None:
    together, alone = ([Generator(seed) for seed in SEEDS] for _ in range(2))
    for _ in range(2):
        assert np.array_equal(normals(together, size), [one.normal((size,)) for one in alone])


def test_a_generator_can_be_moved() -> None:
    """Pickled halfway, even in the middle of a pair, it goes on with the same noise."""
    ours = Generator(3)
    ours.normal((5,))
    again = pickle.loads(pickle.dumps(ours))
    assert np.array_equal(ours.normal((9,)), again.normal((9,)))
    assert np.array_equal(ours.normal((33,)), again.normal((33,)))


def test_the_noise_is_normal() -> None:
    z = Generator(1).normal((200_000,)).astype(np.float64)
    assert [z.mean(), z.std(), (z**4).mean() / 3] == pytest.approx([0, 1, 1], abs=0.02)
