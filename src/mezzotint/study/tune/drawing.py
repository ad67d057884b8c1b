"""Draws and measures settings: all that is missing goes to the engine at once, and what the store has is not drawn again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from time import monotonic

import numpy as np

from mezzotint.store import Store
from mezzotint.study.cells import Cell, cells
from mezzotint.study.measuring import StudyMetrics
from mezzotint.study.outline import CompiledStudy, OpenModel
from mezzotint.study.run import Say, plan_work, run
from mezzotint.study.spec import Study
from mezzotint.study.table import Row, StudyTable, Value
from mezzotint.study.tune.certainty import SeedScores
from mezzotint.study.tune.goal import Goal
from mezzotint.study.tune.halving import RungScores
from mezzotint.study.tune.space import Point, Space, with_points


class SettingEvaluator:
    """The pictures of settings. ConfigError with all that cannot be drawn or measured, before any work.

    `store`: where they are kept, or what opens it, which is then done after all checks.
    """

    def __init__(
        self,
        study: Study,
        goal: Goal,
        space: Space,
        store: Store | Callable[[], Store],
        opened: OpenModel,
        minutes: float,
        say: Say,
    ) -> None:
        self.study = study.model_copy(update={"metrics": goal.metrics, "plots": ()})
        self.goal, self.names, self._say = goal, space.names, say
        self._opened = cache(opened)
        self._measuring = StudyMetrics(self.study)
        self._until = monotonic() + 60 * minutes if minutes else math.inf
        self.made, self.code, self.failed = 0, 0, dict[str, list[str]]()
        self.rows: dict[
            tuple[tuple[Value, ...], tuple[Value, ...], int], Row
        ] = {}  # setting, rest, seed: picture
        self.models = {part.name: part.network for part in self._outline(space.corners(), 1).parts}
        self._store = store if isinstance(store, Store) else store()

    def _outline(self, points: list[Point], seeds: int) -> CompiledStudy:
        study = with_points(self.study, points).with_seeds(seeds)
        return CompiledStudy(study, self._opened, self._measuring.companions)

    def cells(self, point: Point) -> list[Cell]:
        """The cells of one setting."""
        return cells(with_points(self.study, [point]))

    def __call__(self, points: list[Point], seeds: int) -> RungScores:
        """What they come to on the first so many seeds."""
        outline = self._outline(points, seeds)
        left = (self._until - monotonic()) / 60
        items = plan_work(outline, self._store)
        missing = sum(len(item.tasks) for item in items)
        if missing and left <= 0:
            return RungScores([], stopped=True)
        if missing:
            self._say(f"{missing} pictures to draw")
        outcome = run(items, self._store, left if math.isfinite(left) else 0.0, self._say)
        self.made, self.code = self.made + outcome.made, outcome.code
        for what, where in outcome.failed.items():
            self.failed.setdefault(what, []).extend(where)
        if outcome.code or outcome.late:
            return RungScores([], stopped=True)
        table = self._measuring(outline, self._store, self._say)
        return RungScores(self._scores(table, points, outline.study.seed_list))

    def _scores(
        self, table: StudyTable, points: list[Point], seeds: Sequence[int]
    ) -> list[SeedScores | None]:
        rest = [name for name in table.axes if name not in self.names]
        others = {tuple(row.cell[name] for name in rest) for row in table}
        for row in table:
            self.rows[self._at(row.cell), tuple(row.cell[name] for name in rest), row.seed] = row
        return [self._values(self._at(point), sorted(others, key=str), seeds) for point in points]

    def _at(self, cell: Point) -> tuple[Value, ...]:
        return tuple(cell[name] for name in self.names)

    def _values(
        self, at: tuple[Value, ...], others: list[tuple[Value, ...]], seeds: Sequence[int]
    ) -> SeedScores | None:
        """A value a metric and seed, the mean over the other axes; None where a picture is missing."""
        rows = [[self.rows.get((at, other, seed)) for other in others] for seed in seeds]
        if not others or any(row is None for line in rows for row in line):
            return None
        return SeedScores({name: _over(rows, name) for name in self.goal.metrics})

    def table(self) -> StudyTable:
        """All pictures that were looked at, setting by setting."""
        axes = next((tuple(row.cell) for row in self.rows.values()), ())
        return StudyTable(tuple(self.rows[at] for at in sorted(self.rows, key=str)), axes)

    def pictures(self, point: Point, count: int) -> list[Row]:
        """The first pictures of a setting, seed by seed."""
        found = [row for (at, _, _), row in self.rows.items() if at == self._at(point)]
        return sorted(found, key=lambda row: row.seed)[:count]


def _over(rows: list[list[Row | None]], name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """(seeds,) means over those cells for which the metric is defined at any seed; nan where one of these has none."""
    x = np.array([[row.metrics.get(name, math.nan) if row else math.nan for row in line] for line in rows])
    defined = np.isfinite(x).any(0)
    return x[:, defined].mean(1) if defined.any() else np.full(len(rows), math.nan)
