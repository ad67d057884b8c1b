"""`grid.html` of a study: its runs' curves on the same axes, a table, and their last sheets side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from pathlib import Path

from mezzotint.files import write_atomic
from mezzotint.pages.figures import COLORS, Figure, Series, smooth, svg
from mezzotint.pages.layout import figure, page, section, sheet, wide
from mezzotint.train.finetune.report import RunRecord

_KEYS = {
    "val_loss": "Validation loss",
    "kid_new": "KID to the new pictures",
    "kid_old": "KID to the model before",
    "loss": "Training loss, smoothed",
}


def write_grid(folder: Path, runs: Mapping[str, Path]) -> Path:
    """Write the page of runs by name; returns its path."""
    found = {name: RunRecord.read(path) for name, path in runs.items()}
    path = folder / "grid.html"
    write_atomic(path, _html(folder, found).encode())
    return path


def _html(folder: Path, runs: Mapping[str, RunRecord]) -> str:
    begun = {name: run for name, run in runs.items() if run.lines}
    return page(
        _title(folder, begun),
        f"a study in {folder.name}: {len(begun)} of {len(runs)} runs have begun",
        section(
            "Results",
            _table(folder, runs),
            note="The best of a column is bold. A name leads to the run's own report.",
        ),
        section("Curves", f'<div class="two">{"".join(_curves(begun))}</div>' if begun else ""),
        section("Last samples", f'<div class="sheets">{"".join(_sheets(begun))}</div>' if begun else ""),
    )


def _title(folder: Path, runs: Mapping[str, RunRecord]) -> str:
    titles = {str(run.facts.get("title", "")) for run in runs.values()}
    return titles.pop() if len(titles) == 1 else f"Study {folder.name}"


def _table(folder: Path, runs: Mapping[str, RunRecord]) -> str:
    keys = ("val_loss", "kid_new", "kid_old")
    values = {name: {key: run.last(key) for key in keys} for name, run in runs.items()}
    best = {key: _least(value[key] for value in values.values()) for key in keys}
    rows = []
    for place, (name, run) in enumerate(runs.items()):
        report = run.folder / "report.html"
        shown = (
            f'<a href="{escape(str(report.relative_to(folder)))}">{escape(name)}</a>'
            if report.exists()
            else escape(name)
        )
        mark = f'<span style="color:{COLORS[place % len(COLORS)]}">&#9632;</span> '
        done = f"{run.lines[-1]['step']:,.0f} of {run.facts.get('steps', 0):,}" if run.lines else "not begun"
        rows.append(
            [
                mark + shown,
                done,
                *(_cell(values[name][key], best[key]) for key in keys),
                _number(run.last("samples_per_s")),
            ]
        )
    return wide(("run", "steps", "validation loss", "KID new", "KID old", "samples/s"), rows)


def _least(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _cell(value: float | None, best: float | None) -> str:
    said = f"{value:.4f}" if value is not None else ""
    return f"<b>{said}</b>" if said and value == best else said


def _number(value: float | None) -> str:
    return f"{value:.1f}" if value is not None else ""


def _curves(runs: Mapping[str, RunRecord]) -> Iterator[str]:
    for key, title in _KEYS.items():
        transform: Callable[[list[float]], list[float]] = smooth if key == "loss" else list
        series = []
        for place, (name, run) in enumerate(runs.items()):
            x, y = run.curve(key)
            named = name if len(runs) <= 4 else ""
            if x:
                series.append(Series(named, x, transform(y), "line", COLORS[place % len(COLORS)]))
        if series:
            yield figure(title, svg(Figure(series, next(iter(runs.values())).unit), 430, 290))


def _sheets(runs: Mapping[str, RunRecord]) -> Iterator[str]:
    for name, run in runs.items():
        found = run.sheets("ema") or run.sheets("raw")
        if found:
            epoch, path = found[-1]
            kid = run.last("kid_new")
            yield sheet(path, name, f"epoch {epoch}" + (f", KID {kid:.4f}" if kid is not None else ""))
