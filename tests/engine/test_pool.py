"""The contraction: right, and the same bits in any company."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mezzotint.engine.lane import Pool
from mezzotint.rng import Generator

RNG = np.random.default_rng(0)


def normal(*shape: int) -> NDArray[np.float32]:
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("size", [256, 1023])
def test_update_is_the_matrix_product_and_its_bits_are_each_picture_s_own(k: int, size: int) -> None:
    together, n = Pool(9, size), 5
    places = np.array([together.take(k, 1.0, Generator(i)) for i in range(n)])
    matrices, guided, raw = normal(n, k, k + 2), normal(n, size), normal(n, size)
    slots = normal(k, n, size)
    together.slots[:, places] = slots
    together.update(places, matrices, guided, raw)
    expected = np.einsum(
        "nkj,jnp->knp", np.float64(matrices), np.concatenate([slots, guided[None], raw[None]])
    )
    np.testing.assert_allclose(together.slots[:, places], expected, atol=1e-5)
    for i in range(n):
        alone = Pool(3, size)
        place = alone.take(k, 1.0, Generator(0))
        alone.slots[:, place] = slots[:, i]
        alone.update(np.array([place]), matrices[i : i + 1], guided[i : i + 1], raw[i : i + 1])
        assert alone.slots[:, place].tobytes() == together.slots[:, places[i]].tobytes()


def test_a_place_starts_clean_whoever_had_it() -> None:
    pool = Pool(1, 256)
    pool.release(place := pool.take(2, 1.0, Generator(0)))
    pool.slots[:] = np.nan
    assert pool.take(2, 3.0, Generator(7)) == place
    np.testing.assert_array_equal(pool.slots[0, place], np.float32(3) * Generator(7).normal((256,)))
    assert not pool.slots[1, place].any()


def test_more_slots_keep_what_is_there() -> None:
    pool = Pool(3, 256)
    first = pool.take(1, 1.0, Generator(0))
    before = pool.latents(first)
    second = pool.take(4, 1.0, Generator(1))
    assert first != second
    assert pool.slots.shape == (4, 3, 256)
    np.testing.assert_array_equal(pool.latents(first), before)
