"""What the report says of the numbers: plots with intervals, tables, comparisons, the frontier."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from html import escape
from typing import NamedTuple

import numpy as np

from mezzotint.pages.figures import COLORS, Figure, Kind, Series, svg
from mezzotint.pages.layout import figure, wide
from mezzotint.stats import (
    Estimate,
    Paired,
    best,
    compare,
    frontier,
    frontier_shares,
    holm,
    smallest_p,
)
from mezzotint.study.metrics import find_metric
from mezzotint.study.table import Row, StudyTable

ALIGNED = ("judge_score", "clip_score", "object_top5")
MOVED = ("distance_unguided", "distance_unsteered")
_MOST_PLOTS, _MOST_SERIES = 12, 8


class Plot(NamedTuple):
    """A metric over an axis, a curve for each value of another."""

    metric: str
    over: str
    by: str = ""


def higher_is_better(name: str) -> bool | None:
    """Whether more of a metric is better; None where neither is, or nobody said."""
    metric = find_metric(name)
    return metric.higher if metric else None


def varying(table: StudyTable) -> list[str]:
    """The axes that have several values."""
    return [axis for axis in table.axes if len({str(row.cell.get(axis)) for row in table}) > 1]


def settings(table: StudyTable) -> list[str]:
    """Those of them that one may choose: no prompt is better than another."""
    return [axis for axis in varying(table) if "prompt" not in axis]


def default_plots(table: StudyTable) -> list[Plot]:
    """Every metric over every axis, as many as a page bears; what one may choose comes first."""
    chosen = settings(table)
    every = [Plot(metric, axis) for metric in table.metrics for axis in varying(table)]
    return sorted(every, key=lambda plot: plot.over not in chosen)[:_MOST_PLOTS]


def plot_html(
    table: StudyTable, plot: Plot, size: tuple[int, int] = (430, 260), named: Callable[[object], str] = str
) -> str:
    """The plot as a figure, "" where nothing was measured; means over seeds and all other axes, 95 % intervals."""
    parts = table.group(plot.by) if plot.by else {"": table}
    found = [(named(name), Paired.of(part, plot.over, plot.metric)) for name, part in parts.items()]
    found = [(name, paired) for name, paired in found[:_MOST_SERIES] if paired.values.size]
    values = list(dict.fromkeys(value for _, paired in found for value in paired.names))
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    at = {v: float(v) if numeric else float(i) for i, v in enumerate(values)}  # type: ignore[arg-type]
    kind: Kind = "line" if numeric else "points"
    series = [_curve(name, paired, at, kind) for name, paired in found]
    shown = Figure(series, plot.over, names=() if numeric else [str(value) for value in values])
    title = f"{plot.metric} over {plot.over}" + (f", by {plot.by}" if plot.by else "")
    metric = find_metric(plot.metric)
    return figure(title, svg(shown, *size), metric.about if metric else "")


def _curve(name: str, paired: Paired, at: dict[Hashable, float], kind: Kind) -> Series:
    estimates = sorted(((at[value], e) for value, e in paired.estimates().items()), key=lambda one: one[0])
    x, found = [x for x, _ in estimates], [e for _, e in estimates]
    few: Kind = "dots" if kind == "line" and len(x) <= 12 else kind
    mean, low, high = [e.mean for e in found], [e.low for e in found], [e.high for e in found]
    return Series(name, x, mean, few, low=low, high=high)


def tables(table: StudyTable) -> Iterator[str]:
    """For each axis: means with intervals, and of each metric the best value and how sure that is."""
    for axis in varying(table):
        found = {name: Paired.of(table, axis, name) for name in table.metrics}
        found = {name: paired for name, paired in found.items() if paired.values.size}
        if found:
            chosen = axis in settings(table)
            yield f"<h3>By {escape(axis)}</h3>" + wide((axis, *found), _rows(found, chosen))


def _rows(found: dict[str, Paired], chosen: bool) -> Iterator[list[str]]:
    values = list(dict.fromkeys(value for paired in found.values() for value in paired.names))
    estimates = {name: paired.estimates() for name, paired in found.items()}
    winners = {
        name: best(paired, bool(higher_is_better(name)))
        for name, paired in found.items()
        if chosen and higher_is_better(name) is not None
    }
    for value in values:
        cells = []
        for name in found:
            said = format_estimate(estimates[name].get(value))
            if name in winners and winners[name].name == value:
                said = f"<b>{said}</b> <small>best in {winners[name].shares[value]:.0%}</small>"
            cells.append(said)
        yield [escape(_shorten(value)), *cells]


def format_estimate(estimate: Estimate | None) -> str:
    """`0.412 (0.398 to 0.425)`."""
    if estimate is None or not math.isfinite(estimate.mean):
        return ""
    if not math.isfinite(estimate.low):
        return f"{estimate.mean:.4g}"
    return f"{estimate.mean:.4g} <small>({estimate.low:.4g} to {estimate.high:.4g})</small>"


def comparisons(table: StudyTable) -> str:
    """Every value against the first of its axis, for metrics with a direction; Holm over all rows of the page."""
    found = [
        (axis, metric, one)
        for axis in settings(table)
        for metric in table.metrics
        if higher_is_better(metric) is not None
        for paired in [Paired.of(table, axis, metric)]
        if len(paired.seeds) > 1
        for one in compare(paired, paired.names[0])
    ]
    corrected = holm([one.p for *_, one in found])
    rows = [
        [
            escape(f"{axis}: {_shorten(one.name)} against {_shorten(one.base)}"),
            metric,
            format_estimate(one.difference),
            str(one.difference.n),
            f"{one.p:.3g}",
            f"<b>{p:.3g}</b>" if p <= 0.05 else f"{p:.3g}",
        ]
        for (axis, metric, one), p in zip(found, corrected, strict=True)
    ]
    if not rows:
        return ""
    note = powerless(min(one.difference.n for *_, one in found), len(found))
    return wide(("compared", "metric", "difference", "seeds", "p", "Holm"), rows) + note


def powerless(seeds: int, count: int) -> str:
    """Where so few seeds cannot give a small p for so many comparisons, no difference is not what a large one means."""
    least = smallest_p(seeds)
    if least * count <= 0.05:
        return ""
    said = f"With {seeds} seeds no p is below {least:.2g}, so none of {count} comparisons can be below 0.05 after Holm: "
    return f'<p class="note"><b>{said}look at the intervals, or draw more seeds.</b></p>'


def tradeoff(table: StudyTable) -> str:
    """Alignment against movement against cost, a point a setting; "" where one of them was not measured."""
    aligned = next((name for name in ALIGNED if name in table.metrics), "")
    moved = next((name for name in MOVED if name in table.metrics), "")
    if not aligned or not moved:
        return ""
    rows = _by_setting(table)
    found = {name: Paired.of(rows, "setting", name) for name in (aligned, moved, "evaluations")}
    if len({(one.names, one.seeds) for one in found.values()}) != 1 or len(found[aligned].names) < 2:
        return ""
    return _trade(aligned, moved, found) if found[aligned].values.size else ""


def _trade(aligned: str, moved: str, found: dict[str, Paired]) -> str:
    higher, names = (True, False, False), found[aligned].names
    points = np.stack([one.values.mean(1) for one in found.values()], 1)
    on, shares = frontier(points, higher), frontier_shares(found, higher)
    series = [
        Series(said, points[some, 1].tolist(), points[some, 0].tolist(), "points", color, labels=labels)
        for said, some, color, labels in (
            (
                "on the frontier",
                on,
                COLORS[0],
                [_shorten(n, 28) for n, o in zip(names, on, strict=True) if o],
            ),
            ("behind it", ~on, "#b8b2a7", ()),
        )
        if some.any()
    ]
    drawing = figure(f"{aligned} (up) against {moved}", svg(Figure(series, moved), 880, 340))
    rows = [
        [escape(_shorten(names[i])), *(f"{value:.4g}" for value in points[i]), f"{shares[names[i]]:.0%}"]
        for i in np.argsort(points[:, 1])
        if on[i]
    ]
    return drawing + wide(("on the frontier", aligned, moved, "evaluations", "share of draws"), rows)


def _by_setting(table: StudyTable) -> list[Row]:
    """Rows whose cell is the setting, all axes but the prompt's, and the prompt; what it cost is a metric."""
    kept = settings(table)
    return [
        replace(
            row,
            cell={
                "setting": " · ".join(f"{row.cell.get(axis)}" for axis in kept),
                "rest": str(sorted((k, str(v)) for k, v in row.cell.items() if k not in kept)),
            },
            metrics={**row.metrics, "evaluations": float(row.evaluations)},
        )
        for row in table
    ]


def cautions(names: Sequence[str]) -> str:
    """What readers must know of these metrics."""
    said = [f"{name}: {m.caution}" for name in names if (m := find_metric(name)) and m.caution]
    return ". ".join(said) + ("." if said else "")


def _shorten(value: object, most: int = 70) -> str:
    text = "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= most else text[: most - 1] + "…"
