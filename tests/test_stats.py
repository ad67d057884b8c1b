"""Statistics against known truths: coverage by simulation, Student's table, worked examples, brute force."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy import stats

from mezzotint.stats import (
    COVERAGE,
    Estimate,
    Paired,
    best,
    bootstrap_means,
    compare,
    frontier,
    frontier_shares,
    holm,
    interval,
    seeds_to_tell,
    sign_flip,
    smallest_p,
    student,
)


@dataclass
class Row:
    cell: dict[str, object]
    seed: int
    metrics: dict[str, float] = field(default_factory=dict)


def paired(values: list[list[float]]) -> Paired:
    array = np.array(values, np.float64)
    return Paired(tuple("abcdefgh"[: len(values)]), tuple(range(array.shape[1])), array)


@pytest.mark.parametrize("freedom", [1, 2, 3, 7, 31, 199])
@pytest.mark.parametrize("tail", [0.025, 0.005])
def test_students_points(freedom: int, tail: float) -> None:
    assert student(tail, freedom) == pytest.approx(stats.t.ppf(tail, freedom), rel=2e-3)


# Measured once with 4,000 samples of each: (ours, plain percentiles).
MEASURED = {
    ("normal", 4): (0.879, 0.809),
    ("normal", 6): (0.930, 0.860),
    ("normal", 16): (0.948, 0.920),
    ("exponential", 6): (0.884, 0.809),
    ("exponential", 16): (0.924, 0.898),
}


@pytest.mark.parametrize(("kind", "n"), MEASURED)
def test_intervals_cover_what_is_said(kind: str, n: int) -> None:
    """Of 500 intervals as many hold the true mean of 1 as were measured, within three standard errors either way,
    and clearly more than of plain percentiles where n is small."""
    rng = np.random.default_rng(7)
    draw = rng.standard_exponential if kind == "exponential" else lambda size: 1 + rng.standard_normal(size)
    ours = plain = 0
    for i in range(500):
        x = draw(n)
        _, low, high, _ = interval(x, draws=500, seed=i)
        ours += low <= 1 <= high
        low, high = np.percentile(bootstrap_means(x[None], 500, i), [2.5, 97.5])
        plain += low <= 1 <= high
    measured = MEASURED[kind, n][0]
    assert abs(ours / 500 - measured) < 3 * math.sqrt(measured * (1 - measured) / 500)
    assert ours - plain > (15 if n < 16 else 0)


def test_what_is_said_of_coverage_was_measured() -> None:
    said = {n: share for (kind, n), (share, _) in MEASURED.items() if kind == "normal"}
    assert all(COVERAGE[n] == pytest.approx(share, abs=0.006) for n, share in said.items())


def test_an_interval_is_a_function_of_its_input() -> None:
    x = np.random.default_rng(0).standard_normal(12)
    assert interval(x) == interval(x) != interval(x, seed=1)
    assert interval(x).low < x.mean() == interval(x).mean < interval(x).high
    assert interval(x, level=0.5).low > interval(x).low


def test_too_little_has_no_interval() -> None:
    assert interval([3.0])[0] == 3 and math.isnan(interval([3.0]).low)
    assert math.isnan(interval([])[0]) and interval([]).n == 0
    assert interval([1, 3, math.nan])[::3] == (2, 2)


def test_pairs_are_made_by_seed_over_all_prompts() -> None:
    rows = [
        Row({"scale": s, "prompt": p}, seed, {"m": s * 10 + ("x", "y").index(p) + seed})
        for s in (1, 2)
        for p in "xy"
        for seed in (0, 1, 2)
    ]
    rows[0].metrics["m"] = math.nan  # scale 1, prompt x, seed 0: so seed 0 counts nowhere
    del rows[-1]  # and neither does seed 2
    found = Paired.of(rows, "scale", "m")
    assert found.names == (1, 2) and found.seeds == (1,)
    assert found.values.tolist() == [[11.5], [21.5]]


def test_a_cell_that_never_has_a_value_takes_no_seed() -> None:
    rows = [
        Row({"a": a}, seed, {"m": float("nan") if a == 0 else a + seed})
        for a in (0, 1, 2)
        for seed in range(3)
    ]
    found = Paired.of(rows, "a", "m")
    assert found.names == (1, 2) and found.seeds == (0, 1, 2)


def test_the_best_and_how_sure() -> None:
    rng = np.random.default_rng(3)
    noise = rng.standard_normal(30)
    clear = best(paired([list(noise), list(noise + 0.2 + 0.01 * rng.standard_normal(30))]))
    assert (
        clear.name == "b" and clear.shares["b"] == 1
    )  # on the same seeds, though the noise is five times larger
    level = rng.standard_normal((2, 30))
    shares = best(paired(level.tolist())).shares
    assert sum(shares.values()) == pytest.approx(1) and 0.02 < shares["a"] < 0.98
    assert best(paired([[1, 2], [1, 2]])).shares == {"a": 0.5, "b": 0.5}
    assert best(paired([[1, 2], [0, 1]]), higher=False).name == "b"
    with pytest.raises(ValueError, match="nothing can be best"):
        best(paired([[], []]))


def test_the_share_is_calibrated() -> None:
    """Where two settings are alike, the share of the first is spread evenly: its mean is 1/2, its quartiles 1/4 and 3/4."""
    rng = np.random.default_rng(11)
    shares = [best(paired(rng.standard_normal((2, 20)).tolist()), draws=300).shares["a"] for _ in range(300)]
    assert np.quantile(shares, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.1)


def test_sign_flips_of_all_signs() -> None:
    d = [1.0, 2.0, 3.0, -0.5]
    flips = [
        abs(sum(s * x for s, x in zip(signs, d, strict=True)))
        for signs in itertools.product((1, -1), repeat=4)
    ]
    assert sign_flip(d) == sum(f >= 5.5 for f in flips) / 16
    assert sign_flip([1.0] * 5) == 2 / 32
    assert sign_flip(np.zeros(8)) == 1


def test_drawn_signs_agree_with_the_t_test_and_are_never_zero() -> None:
    rng = np.random.default_rng(0)
    d = rng.standard_normal(40) + 0.35
    assert sign_flip(d) == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.01)
    assert 0 < sign_flip(rng.standard_normal(100) + 9) < 1e-4


@pytest.mark.parametrize("pairs", [1, 5, 14, 15, 60])
def test_no_p_is_smaller_than_the_smallest(pairs: int) -> None:
    p = sign_flip(np.full(pairs, 1e6) + np.arange(pairs))
    assert (
        p == smallest_p(pairs) if pairs != 15 else smallest_p(15) <= p < 5e-4
    )  # of 15, a draw may hit all signs


def test_sign_flips_keep_their_level() -> None:
    rng = np.random.default_rng(5)
    false = [sign_flip(rng.standard_normal(10)) <= 0.05 for _ in range(500)]
    assert 0.02 <= np.mean(false) <= 0.08


def test_holm_on_a_worked_example() -> None:
    """0.01, 0.04, 0.03, 0.005: sorted times 4, 3, 2, 1 is 0.02, 0.03, 0.06, 0.04, and what follows is never smaller."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1, 1]) and holm([]) == []


def test_comparisons_are_paired_and_corrected() -> None:
    rng = np.random.default_rng(2)
    noise = 5 * rng.standard_normal(12)
    made = paired(
        [list(noise), list(noise + 0.5 + 0.1 * rng.standard_normal(12)), list(rng.permutation(noise))]
    )
    near, far = compare(made, "a")
    assert (near.name, near.base) == ("b", "a") and near.holm == 2 * near.p < 0.01
    assert near.difference.low > 0.3 and far.holm >= far.p > 0.05
    with pytest.raises(KeyError):
        compare(made, "z")


def test_the_frontier_by_brute_force() -> None:
    rng = np.random.default_rng(1)
    points = rng.integers(0, 6, (60, 3)).astype(float)
    higher = (True, False, False)
    signed = points * [1, -1, -1]
    wanted = [not any((b >= a).all() and (b > a).any() for b in signed) for a in signed]
    assert frontier(points, higher).tolist() == wanted and 0 < sum(wanted) < 60
    assert frontier([[1, 1], [1, 1], [math.nan, 9]], (True, True)).tolist() == [True, True, False]


def test_shares_of_the_frontier() -> None:
    rng = np.random.default_rng(4)
    align = paired([list(rng.standard_normal(20) + c) for c in (0, 5, 4)])
    cost = paired([[1.0] * 20, [2.0] * 20, [3.0] * 20])
    shares = frontier_shares({"align": align, "cost": cost}, (True, False))
    assert shares["a"] == shares["b"] == 1 and shares["c"] < 0.05
    with pytest.raises(ValueError, match="same settings"):
        frontier_shares({"align": align, "cost": paired([[1.0], [2.0], [3.0]])}, (True, False))


def test_so_many_seeds_tell_in_four_of_five_cases() -> None:
    """A mean of 0.5 with a spread of 1 needs (2.8 / 0.5)^2 = 32 values; with these, intervals exclude 0 in 80 %."""
    half = -student(0.025, 15) / 4  # of an interval of 16 values
    count = seeds_to_tell(Estimate(0.5, 0.5 - half, 0.5 + half, 16), 0)
    assert count == 32
    rng = np.random.default_rng(0)
    told = [interval(rng.normal(0.5, 1, 32), draws=500).low > 0 for _ in range(200)]
    assert 0.7 < np.mean(told) < 0.9


def test_no_number_of_seeds_tells_a_mean_that_lies_on_the_bound() -> None:
    assert seeds_to_tell(Estimate(1.0, 0.0, 2.0, 8), 1.0) == math.inf
    assert math.isnan(seeds_to_tell(interval([1.0]), 0))
