"""What a study found: a row a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mezzotint.errors import ConfigError, nearest
from mezzotint.extras import install
from mezzotint.files import write_durably
from mezzotint.request import Request

Value = str | int | float | bool | None  # of an axis


@dataclass(frozen=True)
class Row:
    """One picture: where it stands on the axes, and what it is known to be."""

    cell: dict[str, Value]  # axis: value
    seed: int
    model: str  # as the study names it
    key: str  # of the store
    request: Request
    metrics: dict[str, float] = field(default_factory=dict)
    evaluations: int = 0
    seconds: float = 0.0

    def value(self, column: str) -> Any:
        """What stands in a column of the table."""
        if column in self.cell:
            return self.cell[column]
        return self.metrics[column] if column in self.metrics else getattr(self, column, None)


@dataclass(frozen=True)
class StudyTable:
    """Rows in the order of the study: cell by cell, in each by seed."""

    rows: tuple[Row, ...]
    axes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all metrics that any row has."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.metrics))

    @property
    def columns(self) -> tuple[str, ...]:
        """Axes, seed and model, metrics, what each picture cost, and its key."""
        every = (*self.axes, "seed", "model", *self.metrics, "evaluations", "seconds", "key")
        return tuple(dict.fromkeys(every))

    def column(self, name: str) -> list[Any]:
        """The values of one column; None where a row has none. ConfigError where there is no such column."""
        if name not in self.columns:
            raise ConfigError(f"the table has no {name!r}{nearest(name, self.columns)}")
        return [row.value(name) for row in self.rows]

    def where(self, cell: Mapping[str, Any] | None = None, **axis: Any) -> StudyTable:
        """The rows in which these columns have these values; a mapping for axes with a dot in their names."""
        asked = {**(cell or {}), **axis}
        columns = {name: self.column(name) for name in asked}
        some = [i for i in range(len(self)) if all(columns[n][i] == value for n, value in asked.items())]
        return replace(self, rows=tuple(self.rows[i] for i in some))

    def group(self, *axis: str) -> dict[Any, StudyTable]:
        """A table for each value of an axis, or for each tuple of values of several, in the order of the rows."""
        columns = [self.column(name) for name in axis]
        groups: dict[Any, list[Row]] = {}
        for row, *values in zip(self.rows, *columns, strict=True):
            groups.setdefault(values[0] if len(axis) == 1 else tuple(values), []).append(row)
        return {value: replace(self, rows=tuple(rows)) for value, rows in groups.items()}

    def with_metrics(self, metrics: Mapping[str, Mapping[str, float]]) -> StudyTable:
        """The same with metrics {key: {name: value}} in place of what the rows have of these names."""
        rows = (replace(row, metrics={**row.metrics, **metrics.get(row.key, {})}) for row in self.rows)
        return replace(self, rows=tuple(rows))

    def to_csv(self, path: Path) -> None:
        """A line a row under a line of names. OutputError where it cannot be written."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(self.columns)
        writer.writerows(zip(*(self.column(name) for name in self.columns), strict=True))
        write_durably(path, text.getvalue().encode())

    def to_parquet(self, path: Path) -> None:
        """The same as Parquet. ConfigError where pyarrow is not installed."""
        try:
            import pyarrow as arrow
            import pyarrow.parquet as parquet
        except ModuleNotFoundError:
            raise ConfigError(f"Parquet needs pyarrow; {install('parquet')}") from None
        columns = {name: unify_types(self.column(name)) for name in self.columns}
        buffer = io.BytesIO()
        parquet.write_table(arrow.table(columns), buffer)
        write_durably(path, buffer.getvalue())


def unify_types(values: Sequence[Any]) -> list[Any]:
    """Values of one type, as a column of a file has them: texts where they differ, unless all are numbers."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) <= 1 or kinds <= {int, float}:
        return [float(value) if kinds == {int, float} and value is not None else value for value in values]
    return [None if value is None else str(value) for value in values]
