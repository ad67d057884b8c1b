"""What claims are judged from: the pictures of a study, paired by seed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from mezzotint.stats import Estimate, bootstrap_means, interval
from mezzotint.study.claims import Cell
from mezzotint.study.metrics.looks import pixels
from mezzotint.study.metrics.plain import distance
from mezzotint.study.spec import Study
from mezzotint.study.table import Row, StudyTable, Value

Floats = NDArray[np.float64]
Place = tuple[int, tuple[tuple[str, str], ...]]  # a seed, and where a row stands on some axes


@dataclass(frozen=True)
class Evidence:
    """A study's pictures, measured."""

    study: Study
    table: StudyTable
    picture: Callable[[Row], Image.Image]
    features: Callable[[Sequence[Image.Image]], NDArray[np.float32]] | None = None
    """(n, d) of unit length, by the pair that judges."""

    def values(self, row: Row, metric: str) -> float:
        """Of one picture; nan where it was not measured."""
        found = row.value(metric)
        return math.nan if found is None else float(found)

    def where(self, cell: Cell) -> Self:
        """The pictures of a cell."""
        return replace(self, table=replace(self.table, rows=tuple(r for r in self.table if in_cell(r, cell))))

    def group(self, axis: str) -> dict[Value, Self]:
        """By the values of an axis."""
        return {value: replace(self, table=part) for value, part in self.table.group(axis).items()}

    def mean(self, metric: str) -> float:
        """Of all pictures that have a value."""
        return float(np.nanmean([self.values(row, metric) for row in self.table]))

    def means_by_place(self, metric: str, named: Iterable[str]) -> dict[Place, float]:
        """The mean at each place on the axes that are not named; nan is left out."""
        found: dict[Place, list[float]] = defaultdict(list)
        for row in self.table:
            if math.isfinite(value := self.values(row, metric)):
                found[_place_of(row, named)].append(value)
        return {place: float(np.mean(values)) for place, values in found.items()}

    def difference(self, of: Cell, than: Cell, metric: str, times: float = 1.0) -> Estimate:
        """Of one cell and so many times another's, at equal seeds and places on the other axes; a mean of each seed."""
        named = self._with_zipped_axes({*of, *than})
        first, second = (
            self.where(of).means_by_place(metric, named),
            self.where(than).means_by_place(metric, named),
        )
        by_seed: dict[int, list[float]] = defaultdict(list)
        for place in first.keys() & second.keys():
            by_seed[place[0]].append(first[place] - times * second[place])
        return interval([float(np.mean(by_seed[seed])) for seed in sorted(by_seed)])

    def pairs(self, of: Cell, than: Cell) -> list[tuple[Row, Row]]:
        """Rows of two cells with the same seed and place on the other axes."""
        named = self._with_zipped_axes({*of, *than})
        other = {_place_of(row, named): row for row in self.where(than).table}
        return [(row, other[at]) for row in self.where(of).table if (at := _place_of(row, named)) in other]

    def _with_zipped_axes(self, named: set[str]) -> set[str]:
        """With the axes that go along with them: nobody could be equal there and differ here."""
        tables = [set(table) for table in self.study.zipped]
        return named.union(*(table for table in tables if table & named))

    def rms_distance(self, row: Row, other: Row) -> float:
        """Root mean square of pixels in -1..1."""
        return distance(self.picture(row), self.picture(other))

    def largest_difference(self, row: Row, other: Row) -> float:
        """The largest difference of any value of any pixel, of 255."""
        return float(np.abs(pixels(self.picture(row)) - pixels(self.picture(other))).max())

    def neighbors(self) -> Iterator[tuple[Row, Row]]:
        """Each picture and that of the next seed of its cell."""
        cells: dict[str, list[Row]] = defaultdict(list)
        for row in self.table:
            cells[str(row.cell)].append(row)
        for rows in cells.values():
            yield from pairwise(rows)

    def feature_distances(self, pairs: Sequence[tuple[Row, Row]]) -> tuple[list[float], list[float]]:
        """Cosine distances in features: of each pair, and of its first picture from itself slightly changed."""
        assert self.features is not None, "nothing gives features"
        images = [[self.picture(row) for row in side] for side in zip(*pairs, strict=True)]
        first, second, changed = map(self.features, (*images, [slightly_changed(one) for one in images[0]]))
        return tuple([float(1 - d) for d in (first * other).sum(1)] for other in (second, changed))  # type: ignore[return-value]  # two


def slightly_changed(image: Image.Image) -> Image.Image:
    """To the eye the same picture: shifted by a sixteenth of its width, a tenth lighter, and a JPEG of quality 60."""
    rgb = image.convert("RGB")
    shifted = Image.fromarray(_shift_right(np.asarray(rgb), max(1, rgb.width // 16)))
    file = BytesIO()
    ImageEnhance.Brightness(shifted).enhance(1.1).save(file, "JPEG", quality=60)
    return Image.open(file).convert("RGB")


def _shift_right(pixels: NDArray[np.uint8], by: int) -> NDArray[np.uint8]:
    """To the right; the left edge is repeated."""
    return np.pad(pixels, ((0, 0), (by, 0), (0, 0)), mode="edge")[:, : pixels.shape[1]]


def in_cell(row: Row, cell: Cell) -> bool:
    """Whether a row is of a cell, which may name several values of an axis."""
    return all(
        row.cell.get(axis) in (value if isinstance(value, tuple) else (value,))
        for axis, value in cell.items()
    )


def _place_of(row: Row, named: Iterable[str]) -> Place:
    return row.seed, tuple((axis, str(value)) for axis, value in row.cell.items() if axis not in named)


class Curve(NamedTuple):
    """A metric over something else that is measured: (cells, seeds) of both; a line through the means of the cells."""

    seeds: tuple[int, ...]
    x: Floats
    y: Floats

    @classmethod
    def of(cls, evidence: Evidence, cell: Cell, over: str, metric: str) -> Self:
        """Through the cells that differ in what `cell` names; means over all other axes."""
        found: dict[tuple[str, ...], dict[int, list[tuple[float, float]]]] = {}
        for row in evidence.where(cell).table:
            point = evidence.values(row, over), evidence.values(row, metric)
            if all(map(math.isfinite, point)):
                at = tuple(str(row.cell[axis]) for axis in cell)
                found.setdefault(at, defaultdict(list))[row.seed].append(point)
        seeds = sorted(set.intersection(*map(set, found.values()))) if found else []
        means = np.array([[np.mean(one[seed], 0) for seed in seeds] for one in found.values()], np.float64)
        means = means.reshape(len(found), len(seeds), 2)
        return cls(tuple(seeds), means[..., 0], means[..., 1])

    def of_seeds(self, seeds: list[int]) -> Self:
        """The same from these seeds alone."""
        places = [self.seeds.index(seed) for seed in seeds]
        return self._replace(seeds=tuple(seeds), x=self.x[:, places], y=self.y[:, places])

    @property
    def ends(self) -> tuple[float, float]:
        """From where to where it goes."""
        means = self.x.mean(1)
        return float(means.min()), float(means.max())

    def mean(self, at: Floats) -> Floats:
        """(points,)"""
        return _line(self.x.mean(1), self.y.mean(1), at)

    def bootstrap(self, at: Floats, draws: int = 1000) -> Floats:
        """(draws, points) with seeds drawn anew, the same for curves of equal seeds."""
        x, y = bootstrap_means(self.x, draws), bootstrap_means(self.y, draws)
        return np.stack([_line(*one, at) for one in zip(x, y, strict=True)])


def _line(x: Floats, y: Floats, at: Floats) -> Floats:
    order = np.argsort(x)
    return np.asarray(np.interp(at, x[order], y[order]), np.float64)
