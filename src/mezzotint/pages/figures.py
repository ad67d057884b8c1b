"""Curves as SVG, drawn here: a page has ten of them after every epoch, and a plotting library takes a second for each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, Literal, NamedTuple

import numpy as np

from mezzotint.pages.colors import EDGE, FAINT, GRID, INK

COLORS = ("#1f4e79", "#b4532a", "#4d7c4a", "#8a6d1d", "#6b4c8a", "#2f7f86", "#a33a5a", "#5b5b5b")
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 30, 40  # pixels around the axes
_BARE = 10  # in place of _TOP where there is no legend
_MOST = 1200  # points of a curve

Kind = Literal["line", "faint", "dots", "points"]


class Series(NamedTuple):
    """A curve. `faint`: as measured, behind its own smoothed line; `dots`: one measurement each; `points`: no line.

    `low` and `high`: an interval around each y, nan where there is none. `labels`: written beside the points.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    kind: Kind = "line"
    color: str = ""
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    labels: Sequence[str] = ()


class Figure(NamedTuple):
    """Axes and what is drawn on them. `log`: of y; `zero`: the axis begins there or below; `names`: of x = 0, 1, 2 …"""

    series: Sequence[Series]
    x: str = "epoch"
    log: bool = False
    zero: bool = False
    names: Sequence[str] = ()


class _Axis(NamedTuple):
    """Numbers to pixels."""

    low: float
    high: float
    first: float
    last: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (
            (math.log(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        return self.first + (value - low) / (high - low) * (self.last - self.first)


def svg(figure: Figure, width: int = 880, height: int = 280) -> str:
    """An `<svg>` element of this shape, as large as its place on a page; "" where nothing is finite."""
    series = [
        _finite(one, figure.log)._replace(color=one.color or COLORS[i % len(COLORS)])
        for i, one in enumerate(figure.series)
    ]
    points = [(x, y) for one in series for x, y in zip(one.x, one.y, strict=True)]
    if not points:
        return ""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    ys += [
        edge
        for one in series
        for edge in (*one.low, *one.high)
        if math.isfinite(edge) and (edge > 0 or not figure.log)
    ]
    ends = (-0.5, len(figure.names) - 0.5) if figure.names else _range(xs, False, _margin(series))
    across = _Axis(*ends, _LEFT, width - _RIGHT)
    legend = list(_legend(series))
    top = _TOP if legend else _BARE
    down = _Axis(
        *_range([*ys, 0.0] if figure.zero else ys, figure.log, 0.06), height - _BOTTOM, top, figure.log
    )
    parts = [
        *_grid(across, down, width, figure.names),
        *_intervals(series, across, down),
        *_curves(series, across, down),
        *legend,
        _label(figure.x, width, height),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
    return head + 'font-family="Helvetica,Arial,sans-serif" font-size="12">' + "".join(parts) + "</svg>"


def _finite(series: Series, log: bool) -> Series:
    """Without what cannot be drawn, and thinned to what a page can show."""
    kept = [i for i, y in enumerate(series.y) if math.isfinite(y) and (y > 0 or not log)]
    kept = kept[:: -(-len(kept) // _MOST) or 1]

    def some(values: Sequence[Any]) -> list[Any]:
        return [values[i] for i in kept] if len(values) else []

    return series._replace(
        x=some(series.x),
        y=some(series.y),
        low=some(series.low),
        high=some(series.high),
        labels=some(series.labels),
    )


def _margin(series: Sequence[Series]) -> float:
    """Room beside marks, which would lie on the edge; a curve alone begins at the axis."""
    return 0.05 if any(one.kind in ("points", "dots") for one in series) else 0.0


def _range(values: Sequence[float], log: bool, margin: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    if log:
        return low / 1.15, high * 1.15
    room = (high - low) * margin or (abs(high) * 0.1 or 1.0) * (high == low)
    return (low if low == 0 else low - room), high + room


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from low to high: 1, 2 or 5 times a power of ten apart."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    return [
        round(i * step, 12) for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = (1, 2, 5) if high / low < 1000 else (1,)
    return [m * 10.0**p for p in powers for m in marks if low <= m * 10.0**p <= high]


def _grid(across: _Axis, down: _Axis, width: int, names: Sequence[str]) -> Iterator[str]:
    for value in _log_ticks(down.low, down.high) if down.log else ticks(down.low, down.high, 6):
        y = down(value)
        yield f'<path d="M{_LEFT} {y:.1f}H{width - _RIGHT}" stroke="{GRID}"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{FAINT}">{value:g}</text>'
    for value, name in _places(across, names):
        yield f'<text x="{across(value):.1f}" y="{down.first + 18:.1f}" text-anchor="middle" fill="{FAINT}">{escape(name)}</text>'
    yield f'<path d="M{_LEFT} {down.first}H{width - _RIGHT}" stroke="{EDGE}"/>'


def _places(across: _Axis, names: Sequence[str]) -> list[tuple[float, str]]:
    """Where the horizontal axis is marked, and what is written there: names as long as their place."""
    if not names:
        marks = ticks(across.low, across.high, max(3, round((across.last - across.first) / 80)))
        return [(value, f"{value:g}") for value in marks]
    letters = max(3, int((across.last - across.first) / len(names) / 6.2))
    return [(i, n if len(n) <= letters else n[: letters - 1] + "…") for i, n in enumerate(names)]


def _intervals(series: Sequence[Series], across: _Axis, down: _Axis) -> Iterator[str]:
    """A band behind a line, a whisker behind a dot."""
    for one in series:
        edges = [
            (across(x), down(low), down(high))
            for x, low, high in zip(one.x, one.low, one.high, strict=False)
            if math.isfinite(low) and math.isfinite(high) and (low > 0 or not down.log)
        ]
        if one.kind == "line" and len(edges) > 1:
            around = [f"{x:.1f} {low:.1f}" for x, low, _ in edges]
            around += [f"{x:.1f} {high:.1f}" for x, _, high in reversed(edges)]
            yield f'<path d="M{"L".join(around)}Z" fill="{one.color}" opacity="0.14"/>'
        else:
            for x, low, high in edges:
                yield f'<path d="M{x:.1f} {low:.1f}L{x:.1f} {high:.1f}" stroke="{one.color}" stroke-width="1.4" opacity="0.55"/>'


def _curves(series: Sequence[Series], across: _Axis, down: _Axis) -> Iterator[str]:
    written: list[tuple[float, float]] = []
    for one in series:
        points = [f"{across(x):.1f} {down(y):.1f}" for x, y in zip(one.x, one.y, strict=True)]
        if not points:
            continue
        look = {
            "line": 'stroke-width="1.8"',
            "faint": 'stroke-width="0.8" opacity="0.4"',
            "dots": 'stroke-width="1.1"',
            "points": 'stroke-width="0"',
        }
        path = f'd="M{"L".join(points)}" fill="none" stroke="{one.color}" stroke-linejoin="round"'
        yield f"<path {path} {look[one.kind]}/>"
        if one.kind in ("dots", "points") or len(points) == 1:
            for i, point in enumerate(points):
                x, y = point.split()
                yield f'<circle cx="{x}" cy="{y}" r="3" fill="#fff" stroke="{one.color}" stroke-width="1.4"/>'
                text = one.labels[i] if len(one.labels) else ""
                if text and all(
                    abs(float(x) - a) > 6.0 * len(text) or abs(float(y) - b) > 12 for a, b in written
                ):
                    written.append((float(x), float(y)))  # one that would lie on another is left out
                    yield _point_label(float(x), float(y), text, across)


def _point_label(x: float, y: float, text: str, across: _Axis) -> str:
    """A label right of its point, or left where it would leave the figure."""
    fits = x + 8 + 5.6 * len(text) < across.last
    at, anchor = (x + 7, "start") if fits else (x - 7, "end")
    return f'<text x="{at:.1f}" y="{y - 5:.1f}" text-anchor="{anchor}" font-size="11" fill="{INK}">{escape(text)}</text>'


def _legend(series: Sequence[Series]) -> Iterator[str]:
    named = [one for one in series if one.name and len(one.x)]
    x = float(_LEFT)
    for one in named if len(named) > 1 else []:
        thin = ' opacity="0.45"' if one.kind == "faint" else ""
        yield f'<path d="M{x:.0f} 12h18" stroke="{one.color}" stroke-width="2"{thin}/>'
        yield f'<text x="{x + 24:.0f}" y="16" fill="{INK}">{escape(one.name)}</text>'
        x += 44 + 6.4 * len(one.name)


def _label(text: str, width: int, height: int) -> str:
    middle = (_LEFT + width - _RIGHT) / 2
    return (
        f'<text x="{middle:.0f}" y="{height - 4}" text-anchor="middle" fill="{FAINT}">{escape(text)}</text>'
    )


def smooth(y: Sequence[float]) -> list[float]:
    """An exponential mean over about a thirtieth of the curve, without the pull of its start."""
    decay = 1 - 1 / max(3.0, len(y) / 30)
    total, weight, out = 0.0, 0.0, []
    for value in np.asarray(y, float):
        total, weight = decay * total + (1 - decay) * value, decay * weight + (1 - decay)
        out.append(total / weight)
    return out
