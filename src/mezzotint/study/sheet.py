"""A contact sheet for paper: which picture of a study stands where, and what is written beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from mezzotint.errors import ConfigError, nearest
from mezzotint.study.cells import Cell
from mezzotint.study.spec import Study
from mezzotint.study.table import Value

SEED = "seed"
_SHARED = (
    "prompt",
    "negative_prompt",
    "sampler",
    "steps",
    "guidance",
    "encoder",
)  # fields of requests that are told where all have them alike
_BRACES = re.compile(r"\{(\w+)\}")
PictureKey = Callable[[int, int], str | None]  # (cell, seed) to the store's key; None where it is missing


@dataclass(frozen=True)
class SheetRow:
    """Pictures side by side. `keys`: of the store, None where a picture is missing."""

    label: str
    keys: tuple[str | None, ...]


@dataclass(frozen=True)
class SheetGroup:
    """Rows under one heading."""

    heading: str
    rows: tuple[SheetRow, ...]


@dataclass(frozen=True)
class ContactSheet:
    """What is written, and the pictures' keys; all rows are as long as `columns`."""

    title: str
    about: str
    columns: tuple[str, ...]
    groups: tuple[SheetGroup, ...]


@dataclass(frozen=True)
class _Dimension:
    """Axes that go along together, or the seeds: one index runs over `labels`."""

    name: str
    axes: tuple[str, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


def contact_sheet(study: Study, cells: Sequence[Cell], key: PictureKey, across: str = "") -> ContactSheet:
    """The sheet of a study: columns along one axis, or along `seed`; all other axes and the seeds downwards.

    `cells` in the order of the study. By default the columns are the longest axis. ConfigError for an unknown axis.
    """
    tables = _tables(study, cells)
    seeds = _Dimension(SEED, (SEED,), tuple(f"seed {seed}" for seed in study.seed_list))
    varying = [one for one in tables if len(one) > 1]
    column = _column(varying, seeds, across)
    down = [one for one in varying if one is not column]
    row = _row(down, seeds if column is not seeds else None)

    def keys(at: Mapping[str, int], label: str) -> SheetRow:
        """The pictures of a row; `at`: the index of each dimension but the column's."""
        found = []
        for i in range(len(column)):
            where = {**at, column.name: i}
            cell = _index([where.get(one.name, 0) for one in tables], [len(one) for one in tables])
            found.append(key(cell, study.seed_list[where.get(SEED, 0)]))
        return SheetRow(label, tuple(found))

    groups = []
    for point in _points([len(one) for one in down]):
        at = {one.name: i for one, i in zip(down, point, strict=True)}
        heading = "   ".join(one.labels[i] for one, i in zip(down, point, strict=True))
        rows = [keys({**at, row.name: i}, row.labels[i]) for i in range(len(row))] if row else [keys(at, "")]
        groups.append(SheetGroup(heading, tuple(rows)))
    title = study.question or study.name or "study"
    return ContactSheet(title, _about(study, cells), column.labels, tuple(groups))


def _row(down: list[_Dimension], seeds: _Dimension | None) -> _Dimension | None:
    """What runs down the rows of a group: the seeds; where there is one alone, the last axis, taken out of `down`."""
    if seeds is not None and (len(seeds) > 1 or not down):
        return seeds
    return down.pop() if down else None


def _column(varying: Sequence[_Dimension], seeds: _Dimension, across: str) -> _Dimension:
    if across and across != SEED:
        found = next((one for one in varying if across in one.axes), None)
        if found is None:
            names = [axis for one in varying for axis in one.axes] + [SEED]
            raise ConfigError(
                f"--across {across!r} is no axis with several values; take one of {', '.join(names)}{nearest(across, names)}"
            )
        return found
    return max(varying, key=len) if varying and not across else seeds


def _tables(study: Study, cells: Sequence[Cell]) -> list[_Dimension]:
    """The tables of the study, the last fastest, as `cells` are ordered."""
    found, sizes = [], [len(next(iter(table.values()))) for table in study.tables]
    for place, table in enumerate(study.tables):
        step, labels = prod(sizes[place + 1 :]), []
        for i in range(sizes[place]):
            some = [cell for k, cell in enumerate(cells) if k // step % sizes[place] == i]
            labels.append(", ".join(_label(axis, values[i], some) for axis, values in table.items()))
        found.append(_Dimension(", ".join(table), tuple(table), tuple(labels)))
    return found


def _label(axis: str, value: Value, cells: Sequence[Cell]) -> str:
    """A text as it is; what says nothing without its axis, such as a number, behind the axis's last word."""
    name = axis.split(".")[-1]
    if isinstance(value, str):
        return _fill(value, cells) or f"{name}: the model's own"
    return f"{name} {value:g}" if isinstance(value, float) else f"{name} {'none' if value is None else value}"


def _fill(text: str, cells: Sequence[Cell]) -> str:
    """The text with words in braces replaced by values of their axes, where all these cells agree."""
    found = {_BRACES.sub(lambda m, cell=cell: _plain(cell, m), text) for cell in cells}  # type: ignore[misc]
    return found.pop() if len(found) == 1 else text


def _plain(cell: Cell, match: re.Match[str]) -> str:
    return str(cell.values[match[1]]) if match[1] in cell.values else match[0]


def _about(study: Study, cells: Sequence[Cell]) -> str:
    """What all pictures have in common."""
    said = list({f"model {cell.model}": None for cell in cells})
    said = said if len(said) == 1 else []
    for name in _SHARED:
        values = {str(getattr(cell.request, name)) for cell in cells}
        if len(values) == 1 and (value := values.pop()):
            said.append(f"{value} steps" if name == "steps" else value)
    lora = study.base.get("lora")
    return ", ".join([*said, *([f"lora {_fill(str(lora), cells)}"] if lora else [])])


def _index(point: Sequence[int], sizes: Sequence[int]) -> int:
    index = 0
    for i, size in zip(point, sizes, strict=True):
        index = index * size + i
    return index


def _points(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    points: list[tuple[int, ...]] = [()]
    for size in sizes:
        points = [(*point, i) for point in points for i in range(size)]
    return points
