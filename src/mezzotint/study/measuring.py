"""Measures the pictures of a study: each picture once for each metric, kept in the store beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial

from mezzotint.errors import DataError
from mezzotint.files import key_of
from mezzotint.picture import Picture
from mezzotint.progress import ProgressReporter
from mezzotint.request import Request
from mezzotint.store import Store
from mezzotint.study.metrics import (
    Context,
    Metric,
    MetricSettings,
    batches,
    comparison_requests,
    measure,
    open_metrics,
)
from mezzotint.study.outline import CompiledStudy, ModelCells
from mezzotint.study.report import CellSets
from mezzotint.study.spec import Study
from mezzotint.study.table import Row, StudyTable, Value

_BATCH = 64  # pictures at a time, and between two times that something is kept


class StudyMetrics:
    """The metrics of a study, with all that they need open. ConfigError tells all that is wrong with them."""

    def __init__(self, study: Study) -> None:
        self._settings = MetricSettings(reference=study.reference, text=study.text, color=study.color)
        self.context = Context(self._settings, self._plain)
        self.metrics = open_metrics(study.metrics, self.context) if study.metrics else []
        self._each = [metric for metric in self.metrics if not metric.of_set]
        self._names = {metric.name: self._stored_name(metric) for metric in self._each}
        self._look: Callable[[Request], Picture] | None = None

    def companions(self, requests: Sequence[Request]) -> list[Request]:
        """Further pictures to draw, which metrics compare with."""
        return comparison_requests(self.metrics, requests)

    def _stored_name(self, metric: Metric) -> str:
        """Its name in the store: with what else its values depend on, so that no other study takes them for its own."""
        pairs = [self.context.pair(which).digest for which in ("clip", "judge") if self._needs(metric, which)]
        asked = [self._settings.text, self._settings.color]
        return f"{metric.name}@{key_of(pairs, asked)[:12]}" if pairs or any(asked) else metric.name

    @staticmethod
    def _needs(metric: Metric, which: str) -> bool:
        return which in metric.needs or (which == "judge" and "objects" in metric.needs)

    def __call__(self, outline: CompiledStudy, store: Store, say: Callable[[str], None]) -> StudyTable:
        """The table of what is there, with metrics; those that the store has are not computed again."""
        table = outline.table(store)
        for part in outline.parts if self._each else ():
            mine = {row.key: row.request for row in table if row.model == part.name}
            missing = self._missing(mine, part, store)
            if count := sum(map(len, missing.values())):
                say(f"measuring {count} pictures")
            progress = ProgressReporter(say, count, phase="measuring")
            self._look = lru_cache(maxsize=256)(partial(_read_plain, part, store))
            for names, keys in missing.items():
                for some in batches(keys, _BATCH):
                    self._measure(names, some, store)
                    progress.step(len(some))
        return self._add_metrics(table, store)

    def sets(self, table: StudyTable, store: Store) -> Iterator[CellSets]:
        """The numbers of each cell's pictures as a set."""
        of_sets = [metric for metric in self.metrics if metric.of_set]
        cells = dict[tuple[Value, ...], list[Row]]()
        for row in table if of_sets else ():
            cells.setdefault(tuple(row.cell.values()), []).append(row)
        for rows in cells.values():
            pictures = _StoredPictures(store, [row.key for row in rows])
            yield CellSets(rows[0].cell, measure(of_sets, pictures, self.context).sets)

    def _missing(
        self, requests: dict[str, Request], part: ModelCells, store: Store
    ) -> dict[tuple[str, ...], list[str]]:
        """Which pictures lack which metrics. Where a run was stopped, not all that they compare with is there."""
        known = store.metrics(requests)
        beside = {
            (metric.name, key): part.key(metric.plain(request))
            for metric in self._each
            if metric.plain is not None
            for key, request in requests.items()
        }
        here = store.rows(set(beside.values()))
        missing: dict[tuple[str, ...], list[str]] = {}
        for key in requests:
            names = (name for name, kept in self._names.items() if kept not in known.get(key, {}))
            lacking = tuple(n for n in names if (n, key) not in beside or beside[n, key] in here)
            if lacking:
                missing.setdefault(lacking, []).append(key)
        return missing

    def _measure(self, names: tuple[str, ...], keys: list[str], store: Store) -> None:
        pictures = [read_picture(store, key) for key in keys]
        values = measure([m for m in self._each if m.name in names], pictures, self.context).each
        store.set_metrics(
            {key: {self._names[name]: values[name][i] for name in names} for i, key in enumerate(keys)}
        )

    def _add_metrics(self, table: StudyTable, store: Store) -> StudyTable:
        """With the metrics of this study, in its order: the store may have more of the same pictures."""
        kept = store.metrics({row.key for row in table})
        named = {
            key: {name: values[as_] for name, as_ in self._names.items() if as_ in values}
            for key, values in kept.items()
        }
        return table.with_metrics(named)

    def _plain(self, request: Request) -> Picture:
        assert self._look is not None
        return self._look(request)


class _StoredPictures(Sequence[Picture]):
    """Pictures that are read as they are asked for: a set may be large."""

    def __init__(self, store: Store, keys: Sequence[str]) -> None:
        self._store, self._keys = store, keys

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, i: int) -> Picture:  # type: ignore[override]  # nobody slices
        return read_picture(self._store, self._keys[i])


def _read_plain(part: ModelCells, store: Store, request: Request) -> Picture:
    return read_picture(store, part.key(request))


def read_picture(store: Store, key: str) -> Picture:
    """The picture of a key. DataError where it is damaged or gone."""
    picture = store.read(key)
    if picture is None:
        raise DataError(f"picture {key[:12]} is damaged or gone; run the study again")
    return picture
