"""Halving finds what was planted with fewer pictures than the full grid, and says rightly how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mezzotint.study.spec import Study
from mezzotint.study.tune.certainty import SeedScores, certainty_of, difference
from mezzotint.study.tune.goal import Bound, Goal
from mezzotint.study.tune.halving import HalvingResult, RungScores, halve, rungs
from mezzotint.study.tune.shrink import fit_model, shrunk_bootstrap
from mezzotint.study.tune.space import Point, Space
from mezzotint.study.tune.trials import Trials

GOAL = Goal("m", True)
SPACE = Space.of(
    Study(search={"guidance.cfg.scale": {"low": 1, "high": 12}, "eta": {"low": 0.01, "high": 1, "log": True}})
)


@dataclass
class World:
    """A metric with its optimum at scale 5 and eta 0.1; seeds differ by more than settings do."""

    noise: float = 0.1
    drawn: set[tuple[float, float, int]] = field(default_factory=set)
    asked: list[int] = field(default_factory=list)

    def __call__(self, points: list[Point], seeds: int) -> RungScores:
        self.asked.append(len(points))
        return RungScores([self.seen(float(p["guidance.cfg.scale"]), float(p["eta"]), seeds) for p in points])  # type: ignore[arg-type]

    def seen(self, scale: float, eta: float, seeds: int) -> SeedScores:
        self.drawn |= {(scale, eta, seed) for seed in range(seeds)}
        good = -(math.log(scale / 5) ** 2) - (math.log10(eta) + 1) ** 2
        values = [
            good
            + np.random.default_rng(s).normal()
            + self.noise * np.random.default_rng([s, int(1e6 * scale), int(1e6 * eta)]).normal()
            for s in range(seeds)
        ]
        return SeedScores({"m": np.array(values)})


def search(
    folder: Path, world: World, count: int = 32, seeds: int = 16, base: Point | None = None
) -> HalvingResult:
    trials = Trials(folder / "trials.log", "a search", SPACE, True, base)
    return halve(trials, world, GOAL, count, seeds, base)


def test_a_planted_optimum_is_found_with_fewer_pictures(tmp_path: Path) -> None:
    world, base = World(), {"guidance.cfg.scale": 11.0, "eta": 0.8}
    ladder = search(tmp_path, world, base=base)
    sure = ladder.certainty()
    assert sure.best is not None
    best = ladder.whole[sure.best]
    assert 3.5 < float(best.point["guidance.cfg.scale"]) < 7  # type: ignore[arg-type]
    assert len(world.drawn) < 0.6 * 32 * 16
    assert [(r.seeds, r.kept) for r in ladder.rungs] == [(4, 17), (8, 10), (16, 10)]  # halves, and the base
    assert ladder.base is not None
    assert ladder.base.seen is not None
    assert ladder.base.seen.seeds == 16
    seen = [setting.seen for setting in ladder.whole if setting.seen]
    assert difference(seen, sure.best, ladder.whole.index(ladder.base), "m").low > 0.5


def test_a_search_goes_on_as_if_it_had_not_been_stopped(tmp_path: Path) -> None:
    for name in ("once", "twice"):
        (tmp_path / name).mkdir()
    once, more = World(), World()
    whole = search(tmp_path / "once", once)
    search(tmp_path / "twice", World(), 16, 8)
    again = search(tmp_path / "twice", more)
    assert [s.point for s in again.settings] == [s.point for s in whole.settings]
    assert more.drawn == once.drawn
    fewer = World()
    search(tmp_path / "once", fewer, seeds=8)
    assert fewer.drawn < once.drawn  # more seeds add to what is there


def test_what_a_killed_process_left_is_taken_up(tmp_path: Path) -> None:
    def stopped(points: list[Point], seeds: int) -> RungScores:
        return RungScores([], stopped=True)

    trials = Trials(tmp_path / "trials.log", "a search", SPACE, True)
    assert halve(trials, stopped, GOAL, 16, 8).stopped
    asked = [one.point for one in trials.batch(0, 16)]
    with (tmp_path / "trials.log").open("ab") as file:
        file.write(b'{"op_code": 4, "torn')
    ladder = search(tmp_path, World(), 16, 8)
    assert [setting.point for setting in ladder.settings[:8]] == asked


def test_a_small_space_is_tried_whole_and_at_once(tmp_path: Path) -> None:
    space = Space.of(
        Study(search={"steps": [10, 20, 40], "guidance.cfg.scale": {"low": 1, "high": 3, "step": 1}})
    )
    asked = Trials(tmp_path / "trials.log", "small", space, True).batch(0, 24)
    assert [one.point for one in asked] == list(space.grid())
    assert len(asked) == space.size == 9


def test_no_setting_is_asked_twice(tmp_path: Path) -> None:
    space = Space.of(Study(search={"steps": {"low": 1, "high": 16}}))
    trials, points = Trials(tmp_path / "trials.log", "small", space, True), list[Point]()
    while len(points) < 15:
        for one in trials.batch(len(points), 15):
            points.append(one.point)
            trials.tell(one.number, -abs(int(one.point["steps"]) - 7))  # type: ignore[arg-type]
    assert len({str(point) for point in points}) == 15


def test_rungs_of_more_seeds_go_on_from_those_of_fewer() -> None:
    assert [rungs(n) for n in (2, 4, 6, 8, 16, 20)] == [
        [2], [4], [4, 6], [4, 8], [4, 8, 16], [4, 8, 16, 20],
    ]  # fmt: skip


@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_the_shares_and_the_set_are_right_as_often_as_they_say(noise: float) -> None:
    """Settings from a normal distribution, halved: 12 on 4 seeds, 6 on 8, 3 on 16."""
    told, right, held, covered = [], [], [], []
    for i in range(80):
        rng = np.random.default_rng(i)
        truth = rng.normal(size=12)
        values = truth[:, None] + rng.normal(size=16) + noise * rng.normal(size=(12, 16))
        seen = _halved(values)
        sure = certainty_of(seen, GOAL, 1000)
        assert sure.best is not None
        told.append(sure.shares[sure.best])
        right.append(truth[sure.best] == truth.max())
        held.append(int(truth.argmax()) in sure.alike)
        gain = difference(seen, sure.best, 0, "m", 1000)
        covered.append(gain.low <= truth[sure.best] - truth[0] <= gain.high)
    assert abs(np.mean(told) - np.mean(right)) < 0.15
    assert np.mean(held) > 0.93
    assert np.mean(covered) > 0.85


def _halved(values: NDArray[np.float64]) -> list[SeedScores]:
    order, counts = np.arange(len(values)), np.full(len(values), 4)
    for seeds in (8, 16):
        order = order[np.argsort(-values[order, : seeds // 2].mean(1))][: len(order) // 2]
        counts[order] = seeds
    return [SeedScores({"m": row[:n]}) for row, n in zip(values, counts, strict=True)]


def test_the_best_of_settings_that_are_all_alike_is_not_flattered() -> None:
    flat = [np.random.default_rng(i).normal(size=(20, 16)) for i in range(20)]
    luck = [values.mean(1).max() for values in flat]
    fit = [np.nanmax(fit_model(values).means) - np.nanmean(fit_model(values).means) for values in flat]
    assert np.mean(fit) < 0.5 * np.mean(luck)
    far = np.array([[0.0] * 8, [100.0] * 8, [50.0] * 8]) + flat[0][:3, :8]
    assert np.allclose(fit_model(far).means, far.mean(1), atol=0.5)  # what differs clearly stays


def test_draws_are_paired_by_seeds() -> None:
    """What all settings of a seed share says nothing of their difference."""
    rng = np.random.default_rng(0)
    common, own = 100 * rng.normal(size=8), 0.01 * rng.normal(size=(3, 8))
    out = shrunk_bootstrap([common + row + i for i, row in enumerate(own)])
    assert (out[:, 1] - out[:, 0]).std() < 0.05


def test_bounds_come_before_the_metric() -> None:
    def seen(value: float, moved: float) -> SeedScores:
        rng = np.random.default_rng(int(100 * value))
        return SeedScores({"m": value + 0.1 * rng.normal(size=8), "d": moved + 0.01 * rng.normal(size=8)})

    goal = Goal("m", True, (Bound("d", True, 0.2),))
    some: Sequence[SeedScores] = [seen(1.0, 0.1), seen(2.0, 0.15), seen(9.0, 0.5)]
    sure = certainty_of(some, goal)
    assert sure.best == 1
    assert sure.shares[2] == 0
    assert sure.within[2] == 0
    assert 2 not in sure.alike
    assert certainty_of(some[2:], goal).best is None
    lower = certainty_of(some, Goal("m", False))
    assert lower.best == 0
