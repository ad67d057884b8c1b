"""What a studied section shows: pictures in columns and rows, plots, and means with their intervals."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from html import escape

from mezzotint.pages.layout import details, wide
from mezzotint.paper.contents import StudySection
from mezzotint.stats import Paired
from mezzotint.study.answer import StudyRunner
from mezzotint.study.report import findings
from mezzotint.study.report.sheet import thumbnail_path
from mezzotint.study.table import Row, StudyTable, Value

STYLE = """
table.strip { width:auto; }
table.strip td, table.strip th { border:0; padding:0 6px 6px 0; white-space:normal; }
table.strip th { font-size:12px; line-height:1.3; width:110px; min-width:110px; vertical-align:bottom; overflow-wrap:anywhere; }
table.strip td:first-child { color:var(--faint); font-size:12px; width:130px; vertical-align:middle; padding-right:12px; }
table.strip img { display:block; width:104px; border:1px solid var(--edge); background:#fff; }
.gallery { display:grid; grid-template-columns:repeat(auto-fill,minmax(116px,1fr)); gap:12px; }
.gallery img { width:100%; display:block; border:1px solid var(--edge); background:#fff; }
.gallery figcaption { font-size:11px; line-height:1.3; color:var(--faint); margin-top:3px; overflow-wrap:anywhere; }
"""


def html(entry: StudySection, laboratory: StudyRunner, table: StudyTable) -> str:
    """Pictures lie in the folder of the study's own page, which is linked."""
    few = [findings.plot_html(table, plot) for plot in laboratory.plots if not plot.by]
    drawn = f'<div class="two">{"".join(few)}</div>' if any(few) else ""
    for plot in (plot for plot in laboratory.plots if plot.by):  # whose legend needs the width of the page
        drawn += findings.plot_html(table, plot, (880, 280), partial(label, entry))
    link = f'<p class="note"><a href="{entry.study}/index.html">All {len(table)} pictures and all numbers</a></p>'
    shown = strip(entry, table) if entry.across else gallery(entry, table)
    return shown + drawn + numbers(entry, table) + link


def label(entry: StudySection, value: object) -> str:
    """How a value is called on the page."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return entry.labels.get(text, text)


def _row_label(entry: StudySection, down: Value) -> str:
    """A number says nothing without its axis."""
    number = isinstance(down, (int, float))
    return f"{entry.down.split('.')[-1]} {label(entry, down)}" if number else label(entry, down)


def strip(entry: StudySection, table: StudyTable) -> str:
    """A picture for each value of two axes and each seed that is shown."""
    columns = list(table.group(entry.across)) if len(table) else []
    names = entry.names if len(entry.names) == len(columns) else [label(entry, value) for value in columns]
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", *names))
    body = "".join(
        f"<tr><td>{escape(said)}</td>{''.join(f'<td>{_image(entry, at.get(v))}</td>' for v in columns)}</tr>"
        for said, at in _lines(entry, table)
    )
    return f'<div style="overflow-x:auto"><table class="strip"><tr>{head}</tr>{body}</table></div>'


def _lines(entry: StudySection, table: StudyTable) -> Iterator[tuple[str, dict[Value, Row]]]:
    """What is said of a row of pictures, and its pictures by the value of their column."""
    parts = table.group(entry.down) if entry.down and len(table) else {"": table}
    for down, part in parts.items():
        for seed in sorted({row.seed for row in part})[: entry.shown]:
            said = [_row_label(entry, down)] if entry.down else []
            said += [f"seed {seed}"] if entry.shown > 1 or not said else []
            yield ", ".join(said), {r.cell[entry.across]: r for r in reversed(part.rows) if r.seed == seed}


def gallery(entry: StudySection, table: StudyTable) -> str:
    """The first pictures of every cell, each with its values."""
    varying = findings.varying(table)
    cells: dict[str, list[Row]] = {}
    for row in table:
        cells.setdefault(" · ".join(label(entry, row.cell[axis]) for axis in varying), []).append(row)
    figures = [
        f"<figure>{_image(entry, row)}<figcaption>{escape(said or f'seed {row.seed}')}</figcaption></figure>"
        for said, rows in cells.items()
        for row in rows[: entry.shown]
    ]
    return f'<div class="gallery">{"".join(figures)}</div>'


def _image(entry: StudySection, row: Row | None) -> str:
    if row is None:
        return ""
    said = escape(
        ", ".join(filter(None, (row.request.prompt, str(row.request.guidance), f"seed {row.seed}")))
    )
    return f'<img src="{entry.study}/{thumbnail_path(row.key)}" alt="{said}" title="{said}" loading="lazy">'


def numbers(entry: StudySection, table: StudyTable) -> str:
    """Means with intervals: a row for each column of the strip, and for each of its rows where one may choose it."""
    axes = [axis for axis in (entry.down, entry.across) if axis in findings.settings(table)]
    if not entry.across:
        axes = findings.settings(table)
    found = {name: Paired.of(_join_axes(table, axes), "setting", name) for name in table.metrics}
    estimates = {name: paired.estimates() for name, paired in found.items() if paired.values.size}
    settings = list(dict.fromkeys(name for one in estimates.values() for name in one))
    rows = (
        [*(escape(_short_label(entry, table, axis, v)) for axis, v in zip(axes, _values(setting), strict=True)),
         *(findings.format_estimate(one.get(setting)) for one in estimates.values())]
        for setting in settings
    )  # fmt: skip
    if not axes or not settings:
        return ""
    return details(f"Means of {len(settings)} settings, with intervals", wide((*axes, *estimates), rows))


def _join_axes(table: StudyTable, axes: Sequence[str]) -> list[Row]:
    """With those axes as one, so that the means run over all others."""
    return [
        replace(
            row,
            cell={
                "setting": tuple(row.cell.get(axis) for axis in axes),  # type: ignore[dict-item]  # hashed and compared only
                **{axis: value for axis, value in row.cell.items() if axis not in axes},
            },
        )
        for row in table
    ]


def _values(setting: Hashable) -> tuple[Value, ...]:
    assert isinstance(setting, tuple)
    return setting


def _short_label(entry: StudySection, table: StudyTable, axis: str, value: Value) -> str:
    """A value as the strip calls it, at most so long."""
    if axis == entry.across and entry.names:
        columns = list(table.group(axis))
        if len(columns) == len(entry.names):
            return entry.names[columns.index(value)]
    text = label(entry, value)
    return text if len(text) <= 44 else text[:43] + "…"
