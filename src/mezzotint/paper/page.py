"""The page of all sections, and the same as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from mezzotint import __version__
from mezzotint.files import write_durably
from mezzotint.machine import machine
from mezzotint.pages.layout import details, numbers, page, section, table
from mezzotint.paper.section import REPORT, Maker, PaperSettings, Section
from mezzotint.paper.strip import STYLE as STRIP
from mezzotint.progress import duration
from mezzotint.study.finding import STYLE as CLAIMS
from mezzotint.study.finding import VERDICTS, Finding, Source, Verdict, claims_table

_STYLE = """
.published { max-width:76ch; } .published b { font-weight:600; }
table.summary td { padding-right:14px; } table.summary td.figure { white-space:nowrap; color:var(--faint); }
table.summary td.verdict { white-space:nowrap; } table.summary td small { color:var(--faint); }
ul.verdicts { list-style:none; padding:0; margin:14px 0 6px; } ul.verdicts b { display:inline-block; width:6.5em; }
ul.verdicts small { color:var(--faint); }
table.claims { margin:16px 0 10px; } .failed { color:#b3402a; } pre.command { margin-top:12px; }
section.part > div, section.part > table, section.part > details { margin-top:14px; }
"""


@dataclass(frozen=True)
class PagePart:
    """A section, or why there is none."""

    name: str
    figure: str
    section: Section | None
    why: str = ""

    @classmethod
    def from_failure(cls, maker: Maker, why: str) -> PagePart:
        """One that could not be made."""
        return cls(maker.name, maker.figure, None, why)

    @property
    def headline(self) -> str:
        """Such as `Figure 15. The scale of classifier-free guidance`."""
        named = f"Figure {self.figure}" if self.figure[0].isdigit() else self.figure.capitalize()
        named = named.replace("Figure", "Figures") if "-" in self.figure else named
        return f"{named}. {self.section.title}" if self.section else f"{named}. {self.name}"


def write(setting: PaperSettings, parts: Sequence[PagePart], command: str) -> Path:
    """`paper.html` and `paper.json` in the folder of the setting; returns the page's path."""
    setting.folder.mkdir(parents=True, exist_ok=True)
    write_durably(
        setting.folder / "paper.json",
        (json.dumps(as_data(setting, parts, command), indent=1) + "\n").encode(),
    )
    path = setting.folder / "paper.html"
    write_durably(path, html(setting, parts, command).encode())
    return path


def as_data(setting: PaperSettings, parts: Sequence[PagePart], command: str) -> dict[str, object]:
    """All that the page says, without its figures."""
    sections = [
        {"name": part.name, "figure": part.figure, "failed": part.why}
        | ({k: v for k, v in asdict(part.section).items() if k != "html"} if part.section else {})
        for part in parts
    ]
    return {
        "version": __version__, "command": command, "quick": setting.quick, "seeds": setting.seeds,
        "models": [setting.text_model, setting.pixel_model], "machine": machine(), "report": REPORT,
        "verdicts": {source: counts(_findings(parts), source) for source in _SOURCES}, "sections": sections,
    }  # fmt: skip


def html(setting: PaperSettings, parts: Sequence[PagePart], command: str) -> str:
    """The page."""
    said = f"Models {setting.text_model} and {setting.pixel_model}, {setting.seeds} seeds"
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    about = machine()
    versions = about.pop("versions")
    return page(
        "The report, drawn again",
        f"Every figure and every claim of {REPORT}, on models of our own. {said}. {when}",
        numbers(_numbers(parts)),
        section(
            "Summary",
            summary(parts),
            details(f"All {len(_findings(parts))} claims", every_claim(parts)),
            note=_NOTE,
        ),
        *(section_html(part) for part in parts),
        section(
            "How it was made",
            f"<pre>{escape(command)}</pre>",
            table({"version": __version__, **about, **versions}),
        ),
        style=_STYLE + STRIP + CLAIMS,
    )


_NOTE = (
    "Verdicts are computed, with intervals of 95 % over seeds. Confirmed: the interval lies on the claim's side. Refuted: it is "
    "on the other side. Undecided: it holds both; the evidence says how many seeds more would tell, by the measured spread (80 % "
    "power). The claims of the report are counted apart from ours, which are about slips, controls and mechanisms. The bundled "
    "models are small: what is refuted for them may hold for larger ones, and the same command asks there."
)
_SOURCES: dict[Source, str] = {"report": "the report's claims", "ours": "our own claims"}


def _findings(parts: Sequence[PagePart]) -> list[Finding]:
    return [one for part in parts if part.section for one in part.section.findings]


def counts(findings: Sequence[Finding], source: Source) -> dict[Verdict, int]:
    """How many claims of a source have each verdict."""
    found = Counter(one.verdict for one in findings if one.source == source)
    return {verdict: found[verdict] for verdict in VERDICTS}


def _verdict_counts(findings: Sequence[Finding], source: Source) -> str:
    """Such as `3 confirmed, 1 refuted`."""
    return ", ".join(f"{n} {verdict}" for verdict, n in counts(findings, source).items() if n)


def _numbers(parts: Sequence[PagePart]) -> Iterator[tuple[str, str, str]]:
    findings = _findings(parts)
    for source, said in _SOURCES.items():
        yield said, str(sum(counts(findings, source).values())), _verdict_counts(findings, source)
    yield "sections", str(len(parts)), f"{sum(part.section is None for part in parts)} not made"
    yield "time", duration(sum(part.section.seconds for part in parts if part.section)), "of this run"


def summary(parts: Sequence[PagePart]) -> str:
    """A line a section: its verdicts, and where our model differs from the report's."""
    rows = "".join(map(_summary_row, parts))
    head = "<tr><th>figure</th><th>what it shows</th><th>the report's claims</th><th>ours</th></tr>"
    return f'<table class="summary">{head}{rows}</table>' if rows else ""


def _summary_row(part: PagePart) -> str:
    first = f'<tr><td class="figure">{escape(part.figure)}</td><td><a href="#{part.name}">'
    if part.section is None:
        return f'{first}{escape(part.name)}</a></td><td class="failed" colspan="2">not made</td></tr>'
    marked = "".join(
        f'<td class="verdict">{_verdict_marks(part.section.findings, source)}</td>' for source in _SOURCES
    )
    differs = f"<br><small>{escape(part.section.differs)}</small>" if part.section.differs else ""
    return f"{first}{escape(part.section.title)}</a>{differs}</td>{marked}</tr>"


def _verdict_marks(findings: Sequence[Finding], source: Source) -> str:
    found = counts(findings, source)
    return "<br>".join(f'<span class="{verdict}">{n} {verdict}</span>' for verdict, n in found.items() if n)


def every_claim(parts: Sequence[PagePart]) -> str:
    """All claims with their verdicts; the report's first."""
    return claims_table(sorted(_findings(parts), key=lambda one: one.source != "report"), sources=True)


def section_html(part: PagePart) -> str:
    """A section of the page."""
    head = f'<h2 id="{part.name}">{escape(part.headline)}</h2>'
    made = part.section
    if made is None:
        return f'<section class="part">{head}<p class="failed">{escape(part.why)}</p></section>'
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in made.notes)
    differs = f'<p class="note"><b>Ours.</b> {escape(made.differs)}</p>' if made.differs else ""
    return (
        f'<section class="part">{head}<p class="published"><b>The report.</b> {escape(made.published)}</p>{differs}'
        f"{made.html}{_verdicts(made.findings)}"
        f"{details('Evidence', claims_table(made.findings, sources=True))}{details('Notes', notes)}"
        f'<p class="note">This alone, {duration(made.seconds)}: <code>{escape(made.command)}</code></p></section>'
    )


def _verdicts(findings: Sequence[Finding]) -> str:
    """A line a claim, the report's first."""
    said = {"report": "", "ours": " <small>(ours)</small>"}
    lines = [
        f'<li><b class="{one.verdict}">{one.verdict}</b> {escape(one.claim)}{said[one.source]}</li>'
        for one in sorted(findings, key=lambda one: one.source != "report")
    ]
    return f'<ul class="verdicts">{"".join(lines)}</ul>' if lines else ""
