"""Ratios come from neighbors in time, so that a machine that slows down does not tilt them."""

from __future__ import annotations

import pytest

from mezzotint.bench.timing import PAUSE, alternate


class Machine:
    """A clock that runs work at a speed which changes from run to run."""

    def __init__(self, slowness: list[float]) -> None:
        self.now, self.order = 0.0, ""
        self._slowness = iter(slowness)

    def clock(self) -> float:
        return self.now

    def rest(self, seconds: float) -> None:
        assert seconds == PAUSE
        self.now += seconds

    def work(self, name: str, seconds: float) -> str:
        self.order += name
        self.now += seconds * next(self._slowness)
        return f"{name}{len(self.order)}"


def test_sides_take_turns_and_pauses_do_not_count() -> None:
    machine = Machine([1] * 6)
    pairs, a, b = alternate(
        lambda i: machine.work("A", 1.0 + i),
        lambda i: machine.work("B", 10.0),
        3,
        machine.clock,
        machine.rest,
    )
    assert machine.order == "ABABAB"
    assert (a, b) == (["A1", "A3", "A5"], ["B2", "B4", "B6"])
    assert pairs.ours == pytest.approx((1, 2, 3))
    assert pairs.theirs == pytest.approx((10, 10, 10))


def test_ratios_are_of_pairs() -> None:
    machine = Machine([1, 1, 5, 5, 2, 2])  # slow in the middle, for both
    pairs, _, _ = alternate(
        lambda _: machine.work("A", 1), lambda _: machine.work("B", 4), 3, machine.clock, machine.rest
    )
    assert pairs.ratios == pytest.approx((0.25, 0.25, 0.25))
    assert pairs.ratio == pytest.approx(0.25)


def test_summary() -> None:
    machine = Machine([1] * 6)
    seconds = iter([1, 4, 2, 4, 6, 6])
    pairs, _, _ = alternate(
        lambda _: machine.work("A", next(seconds)),
        lambda _: machine.work("B", next(seconds)),
        3,
        machine.clock,
        machine.rest,
    )
    facts = pairs.to_dict()
    assert facts["mezzotint_median_s"] == pytest.approx(2)
    assert facts["diffusers_median_s"] == pytest.approx(4)
    assert facts["ratio_of_medians"] == pytest.approx(0.5)
    assert facts["paired_ratios"] == pytest.approx({"min": 0.25, "median": 0.5, "max": 1.0})
