"""The page of a search, with its data beside it: CSV, JSON, and the requests of the best setting."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from mezzotint.files import write_durably
from mezzotint.machine import machine
from mezzotint.pages.figures import COLORS, Figure, Series, svg
from mezzotint.pages.layout import figure, numbers, page, section, table, wide
from mezzotint.progress import duration
from mezzotint.store import Store, precision_of
from mezzotint.study.measuring import read_picture as read
from mezzotint.study.metrics import METRICS
from mezzotint.study.table import Value
from mezzotint.study.tune.command import FILE, requests
from mezzotint.study.tune.space import Axis
from mezzotint.study.tune.verdict import SearchSummary, SettingSummary, format_interval, format_point

_STRIP, _SIDE = 8, 104  # pictures of a setting, and their pixels on the page
_CSS = """
p.said { font:17px/1.5 Georgia,'Times New Roman',serif; margin:10px 0; max-width:72ch; }
.strip { display:flex; gap:4px; flex-wrap:wrap; margin:2px 0 14px; } .strip img { width:104px; image-rendering:pixelated; }
tr:has(td > b.best) { background:#f3f0e8; }
"""
_SETTINGS = (
    "Means over seeds and all other axes, with intervals of 95 %. Best in: the share of draws over seeds in which it is the best "
    "within the bounds, with means drawn toward each other by what noise there is, as the best of many is also lucky. A dot: it "
    "cannot be told from the best at 95 %. Where settings are as alike as neighbors of a fine range, shares name one of "
    "several: read the dots."
)
_RUNGS = "All settings on the first seeds, the better half on twice as many. The base is on every rung, for comparison."


def write(verdict: SearchSummary, store: Store, folder: Path, typed: str) -> Path:
    """`index.html`, `settings.csv`, `table.csv`, `tune.json` and `best.jsonl`. OutputError where one cannot be written."""
    write_durably(folder / "tune.json", json.dumps(_plain(verdict.data()), indent=1).encode())
    write_durably(folder / "settings.csv", _csv(verdict).encode())
    verdict.found.drawing.table().to_csv(folder / "table.csv")
    if verdict.best:
        seed = verdict.found.study.seed_list[0]
        write_durably(folder / FILE, requests(verdict.cells, seed).encode())
    path = folder / "index.html"
    write_durably(path, html(verdict, store, typed).encode())
    return path


def _plain(value: object) -> object:
    """As JSON may have it: no nan."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv(verdict: SearchSummary) -> str:
    rows = [{k: v for k, v in row.items() if k != "values"} for row in verdict.data()["settings"]]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["seeds"])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def html(verdict: SearchSummary, store: Store, typed: str) -> str:
    """The page."""
    found, metric = verdict.found, verdict.goal.metric
    name, about = found.study.name or "study", METRICS[metric].about if metric in METRICS else ""
    caution = METRICS[metric].caution if metric in METRICS else ""
    return page(
        f"{name}, tuned for {verdict.goal}",
        f"{len(verdict.settings)} settings, up to {len(found.study.seed_list)} seeds",
        f"<p>{escape(found.study.question)}</p>" if found.study.question else "",
        "".join(f'<p class="said">{escape(line)}</p>' for line in verdict.sentences()),
        numbers(_numbers(verdict)),
        section("Draw with it", f"<pre>{escape(verdict.command)}</pre>" if verdict.command else ""),
        section("Pictures", *_strips(verdict, store), note="The same seeds in each line."),
        section(
            f"{metric} by setting",
            f'<div class="two">{"".join(_figures(verdict))}</div>' if verdict.lines else "",
            note=". ".join(filter(None, (about, caution))),
        ),
        section("Settings", _settings(verdict), note=_SETTINGS),
        section("Rungs", _rungs(verdict), note=_RUNGS),
        section("How it was made", f"<pre>{escape(typed)}</pre>" if typed else "", table(_facts(verdict))),
        section("Data", _DATA),
        style=_CSS,
    )


_DATA = (
    '<p>A row a setting: <a href="settings.csv">settings.csv</a>; a row a picture: <a href="table.csv">table.csv</a>; '
    'all of this page: <a href="tune.json">tune.json</a>.</p>'
)


def _numbers(verdict: SearchSummary) -> Iterator[tuple[str, str, str]]:
    if verdict.best:
        line = verdict.lines[0]
        yield (
            f"mean {verdict.goal.metric}",
            f"{line.mean.mean:.4g}",
            f"{line.mean.low:.4g} to {line.mean.high:.4g}, 95 %",
        )
        if gain := verdict.advantage:
            yield "against the base", f"{gain.mean:+.4g}", f"{gain.low:+.4g} to {gain.high:+.4g}, 95 %"
        yield "the best in", f"{line.share:.0%}", "of draws over seeds"
        yield "not told apart", str(len(verdict.sure.alike)), "settings, the best included"
    looked, full = _pictures(verdict)
    yield "pictures", f"{looked:,}", f"of {full:,} if all settings had all seeds"


def _pictures(verdict: SearchSummary) -> tuple[int, int]:
    """Looked at, and in all."""
    rows, settings = verdict.found.drawing.rows, max(1, len(verdict.found.ladder.settings))
    others = len({rest for _, rest, _ in rows})
    return len(rows), settings * others * len(verdict.found.study.seed_list)


def _strips(verdict: SearchSummary, store: Store) -> Iterator[str]:
    """The best, the base, and the worst."""
    chosen: dict[str, SettingSummary] = {}
    if verdict.best:
        chosen["best"] = verdict.lines[0]
    if base := next((line for line in verdict.lines if line.setting.base and not line.best), None):
        chosen["base"] = base
    if len(verdict.lines) > 2 and not verdict.goal.bounds:
        chosen["worst"] = verdict.lines[-1]
    for name, line in chosen.items():
        rows = verdict.found.drawing.pictures(line.setting.point, _STRIP)
        tiles = "".join(_tile(store, row.key, f"{row.request.prompt}, seed {row.seed}") for row in rows)
        about = f"{name}: {format_point(line.setting.point)}"
        caption = f"<figcaption>{escape(about)} <span>{format_interval(line.mean)}</span></figcaption>"
        yield f'{caption}<div class="strip">{tiles}</div>'


def _tile(store: Store, key: str, title: str) -> str:
    image, data = read(store, key).image.convert("RGB"), io.BytesIO()
    image.thumbnail((_SIDE, _SIDE))
    image.save(data, format="WEBP", quality=90)
    said = base64.b64encode(data.getvalue()).decode()
    return f'<img alt="{escape(title)}" title="{escape(title)}" src="data:image/webp;base64,{said}">'


def _figures(verdict: SearchSummary) -> Iterator[str]:
    for axis in verdict.found.space.axes:
        drawing = svg(Figure(_series(verdict, axis), axis.name, names=_names(verdict, axis)), 430, 270)
        yield figure(f"{verdict.goal.metric} over {axis.name}", drawing)


def _names(verdict: SearchSummary, axis: Axis) -> Sequence[str]:
    """What stands on the axis where it has no numbers."""
    values = _values(verdict, axis)
    return () if all(_number(value) for value in values) else [str(value) for value in values]


def _values(verdict: SearchSummary, axis: Axis) -> list[Value]:
    return list(
        dict.fromkeys([*axis.values, *(line.setting.point[axis.name] for line in verdict.lines)])
        if axis.values
        else dict.fromkeys(line.setting.point[axis.name] for line in verdict.lines)
    )


def _number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _series(verdict: SearchSummary, axis: Axis) -> list[Series]:
    """A color for each number of seeds, and marks for the best and the base."""
    places, named = _values(verdict, axis), bool(_names(verdict, axis))

    def points(name: str, lines: list[SettingSummary], color: str, label: str = "") -> Series:
        at = [line.setting.point[axis.name] for line in lines]
        x = [float(places.index(value)) if named else float(value or 0) for value in at]
        y = [line.mean for line in lines]
        edges = [e.low for e in y], [e.high for e in y]
        return Series(
            name, x, [e.mean for e in y], "points", color, *edges, [label] * len(x) if label else ()
        )

    rest = [line for line in verdict.lines if not line.best and not line.setting.base]
    counts = sorted({line.mean.n for line in rest})
    shades = ("#b8b2a7", "#8fa9bf", "#4f7ba3", COLORS[0], "#12304a")
    found = [
        points(f"{n} seeds", [line for line in rest if line.mean.n == n], shades[min(i, 4)])
        for i, n in enumerate(counts)
    ]
    base = [line for line in verdict.lines if line.setting.base and not line.best]
    best = [line for line in verdict.lines if line.best]
    return [*found, points("base", base, COLORS[2], "base"), points("best", best, COLORS[1], "best")]


def _settings(verdict: SearchSummary) -> str:
    bounds = [bound.metric for bound in verdict.goal.bounds]
    head = (
        *verdict.found.space.names,
        "seeds",
        verdict.goal.metric,
        *bounds,
        "best in",
        *(["keeps"] if bounds else []),
        "",
    )
    return wide(head, map(_row, verdict.lines)) if verdict.lines else ""


def _row(line: SettingSummary) -> Iterator[str]:
    for value in line.setting.point.values():
        yield escape("none" if value is None else str(value))
    yield str(line.mean.n)
    yield f'<b class="best">{format_interval(line.mean)}</b>' if line.best else format_interval(line.mean)
    yield from (format_interval(kept) for kept in line.kept.values())
    yield f"{line.share:.0%}" if line.share >= 0.005 else "0"
    if line.kept:
        yield f"{line.within:.0%}"
    yield "● " * line.alike + "base" * line.setting.base


def _rungs(verdict: SearchSummary) -> str:
    rungs = verdict.found.ladder.rungs
    rows = [
        [str(i + 1), str(r.seeds), str(r.settings), str(r.kept), f"{r.best:.4g}"] for i, r in enumerate(rungs)
    ]
    return wide(("rung", "seeds", "settings", "went on", "best mean"), rows) if rows else ""


def _facts(verdict: SearchSummary) -> dict[str, object]:
    found, about = verdict.found, machine()
    models = {
        f"model {name}": f"{network.digest[:12]}, {precision_of(network)}, {found.study.mode}"
        for name, network in found.drawing.models.items()
    }
    drawn = {"drawn in this run": found.drawing.made, "time of this run": duration(found.seconds)}
    return {**drawn, **models, **{f"version of {n}": v for n, v in about.pop("versions").items()}, **about}
