"""One page for a study, with its data beside it: readable without a network, and printable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from PIL import Image

from mezzotint.errors import ConfigError
from mezzotint.files import write_durably
from mezzotint.pages.layout import numbers, page, section, table, wide
from mezzotint.stats import COVERAGE
from mezzotint.study.finding import STYLE as CLAIMS
from mezzotint.study.finding import Finding, claims_table
from mezzotint.study.metrics import SetResult
from mezzotint.study.report import findings
from mezzotint.study.report.findings import Plot
from mezzotint.study.report.sheet import STYLE, sheet, thumbnails
from mezzotint.study.table import Row, StudyTable, Value


@dataclass(frozen=True)
class PageFacts:
    """What a table does not know. `facts`: models, versions, digests, machine; `cost`: what was drawn and saved."""

    title: str
    question: str = ""
    command: str = ""
    began: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    cost: Mapping[str, object] = field(default_factory=dict)
    findings: Sequence[Finding] = ()


@dataclass(frozen=True)
class CellSets:
    """The numbers of a set of pictures: of one cell, or of all where `cell` is empty."""

    cell: Mapping[str, Value]
    results: Mapping[str, SetResult]


def write(
    folder: Path,
    rows: StudyTable,
    about: PageFacts,
    picture: Callable[[Row], Image.Image],
    plots: Sequence[Plot] = (),
    sets: Sequence[CellSets] = (),
) -> Path:
    """`index.html`, `pictures/`, `table.csv` and, with pyarrow, `table.parquet` in `folder`; returns the page's path.

    ConfigError where a plot names what the table lacks, OutputError where nothing can be written.
    """
    for plot in plots:
        rows.column(plot.metric), rows.column(plot.over), plot.by and rows.column(plot.by)
    folder.mkdir(parents=True, exist_ok=True)
    thumbnails(folder, rows, picture)
    rows.to_csv(folder / "table.csv")
    path = folder / "index.html"
    write_durably(path, html(rows, about, plots, sets, _parquet(folder, rows)).encode())
    return path


def _parquet(folder: Path, rows: StudyTable) -> bool:
    try:
        rows.to_parquet(folder / "table.parquet")
    except ConfigError:
        return False  # pyarrow is an extra; the page then names the CSV alone
    return True


def html(
    rows: StudyTable,
    about: PageFacts,
    plots: Sequence[Plot] = (),
    sets: Sequence[CellSets] = (),
    parquet: bool = False,
) -> str:
    """The page."""
    figures = [
        drawn for plot in plots or findings.default_plots(rows) if (drawn := findings.plot_html(rows, plot))
    ]
    said = "Means over seeds and all other axes, with bootstrap intervals of 95 %. "
    return page(
        about.title,
        _lead(rows, about),
        f'<p class="question">{escape(about.question)}</p>' if about.question else "",
        numbers(_numbers(rows)),
        section("Claims", claims_table(about.findings)),
        section(
            "Pictures", sheet(rows, about.title) if len(rows) else "", note="A picture leads to its recipe."
        ),
        section(
            "Plots", f'<div class="two">{"".join(figures)}</div>' if figures else "", note=said + _few(rows)
        ),
        section("Settings", *findings.tables(rows), note=_tables_note(rows)),
        section("Alignment, movement, cost", findings.tradeoff(rows), note=_TRADE),
        section("Compared", findings.comparisons(rows), note=_COMPARED),
        section("Sets", *_sets(sets)),
        section("What it cost", table(about.cost)),
        section(
            "How it was made",
            f"<pre>{escape(about.command)}</pre>" if about.command else "",
            table(about.facts),
        ),
        section("Data", _data(parquet)),
        style=STYLE + CLAIMS,
    )


_TRADE = (
    "A setting is on the frontier when no other is as good in all three and better in one. Share of draws: how often it is, "
    "when seeds are drawn anew."
)
_COMPARED = (
    "Differences on the same seeds; p by flipping their signs at random; Holm's correction is for all comparisons of this page. "
    "Bold: at most 0.05 after it."
)


def _lead(rows: StudyTable, about: PageFacts) -> str:
    cells = len({str(row.cell) for row in rows})
    said = f"{len(rows):,} pictures, {cells:,} settings, {len({row.seed for row in rows})} seeds"
    return ", ".join(filter(None, (said, about.began)))


def _numbers(rows: StudyTable) -> Iterator[tuple[str, str, str]]:
    yield "pictures", f"{len(rows):,}", ""
    yield "evaluations", f"{sum(row.evaluations for row in rows):,}", "of the denoiser, all pictures together"
    yield "axes", str(len(findings.varying(rows))), ", ".join(findings.varying(rows))


def _few(rows: StudyTable) -> str:
    """What the intervals of so few seeds hold."""
    seeds = len({row.seed for row in rows})
    if seeds < 2:
        return "There is one seed, so there are no intervals."
    near = max((n for n in COVERAGE if n <= seeds), default=min(COVERAGE))
    least = "less than " if seeds < min(COVERAGE) else ""
    return (
        f"With {seeds} seeds they hold the truth in {least}about {COVERAGE[near]:.0%} of cases."
        if near < 16
        else ""
    )


def _tables_note(rows: StudyTable) -> str:
    said = "Bold is the best mean; its share says in how many bootstrap draws over seeds it is."
    return f"{said} {findings.cautions(rows.metrics)}"


def _sets(sets: Sequence[CellSets]) -> Iterator[str]:
    """A line a set, and under them once what each number was computed with."""
    ways: dict[str, dict[str, None]] = {}
    for name, found in ((name, found) for one in sets for name, found in one.results.items()):
        ways.setdefault(name, {})[_way(found)] = None
    if ways:
        yield wide(("set", "pictures", *ways), ([*_set_row(one, list(ways))] for one in sets))
        yield table({name: "; ".join(filter(None, said)) for name, said in ways.items()})


def _set_row(one: CellSets, names: Sequence[str]) -> Iterator[str]:
    yield escape(", ".join(f"{axis} {value}" for axis, value in one.cell.items()) or "all")
    yield ", ".join(dict.fromkeys(f"{found.n:,}" for found in one.results.values()))
    yield from (f"{one.results[name].value:.5g}" if name in one.results else "" for name in names)


def _way(found: SetResult) -> str:
    against = f"against {found.against:,} of {found.reference}" if found.against else found.reference
    return ", ".join(filter(None, (found.features, found.resize, against)))


def _data(parquet: bool) -> str:
    files = ["table.csv", *(["table.parquet"] if parquet else [])]
    links = " and ".join(f'<a href="{name}">{name}</a>' for name in files)
    return f"<p>A row a picture, with its key in the store: {links}.</p>"
