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
from mezzotint.bench.machine import machine
from mezzotint.pages.layout import numbers, page, section, table
from mezzotint.picture import write_durably
from mezzotint.study.paper.section import Maker, Section, Setting, Verdict
from mezzotint.study.paper.strip import STYLE as STRIP
from mezzotint.study.report.page import CLAIMED, claimed
from mezzotint.study.run import duration

VERDICTS: tuple[Verdict, ...] = ("confirmed", "not confirmed", "not testable here")
_STYLE = """
.published { max-width:76ch; } .published b { font-weight:600; }
table.summary td { padding-right:14px; } table.summary td.figure { white-space:nowrap; color:var(--faint); }
table.summary td.verdict { white-space:nowrap; }
table.claims { margin:16px 0 10px; } .failed { color:#b3402a; } pre.command { margin-top:12px; }
section.part > div, section.part > table { margin-top:14px; }
"""


@dataclass(frozen=True)
class Part:
    """A section, or why there is none."""

    name: str
    figure: str
    section: Section | None
    why: str = ""

    @classmethod
    def failed(cls, maker: Maker, why: str) -> Part:
        """One that could not be made."""
        return cls(maker.name, maker.figure, None, why)

    @property
    def headline(self) -> str:
        """Such as `Figure 15. The scale of classifier-free guidance`."""
        named = f"Figure {self.figure}" if self.figure[0].isdigit() else self.figure.capitalize()
        named = named.replace("Figure", "Figures") if "-" in self.figure else named
        return f"{named}. {self.section.title}" if self.section else f"{named}. {self.name}"


def write(setting: Setting, parts: Sequence[Part], command: str) -> Path:
    """`paper.html` and `paper.json` in the folder of the setting; returns the page's path."""
    setting.folder.mkdir(parents=True, exist_ok=True)
    write_durably(
        setting.folder / "paper.json", (json.dumps(told(setting, parts, command), indent=1) + "\n").encode()
    )
    path = setting.folder / "paper.html"
    write_durably(path, html(setting, parts, command).encode())
    return path


def told(setting: Setting, parts: Sequence[Part], command: str) -> dict[str, object]:
    """All that the page says, without its figures."""
    sections = [
        {"name": part.name, "figure": part.figure, "failed": part.why}
        | ({k: v for k, v in asdict(part.section).items() if k != "html"} if part.section else {})
        for part in parts
    ]
    return {
        "version": __version__, "command": command, "quick": setting.quick, "seeds": setting.seeds,
        "models": [setting.text_model, setting.pixel_model], "machine": machine(), "sections": sections,
    }  # fmt: skip


def html(setting: Setting, parts: Sequence[Part], command: str) -> str:
    """The page."""
    said = f"Models {setting.text_model} and {setting.pixel_model}, {setting.seeds} seeds"
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    about = machine()
    versions = about.pop("versions")
    return page(
        "The report, drawn again",
        f"Every figure and every claim of a published report on CLIP and diffusion, on models of our own. {said}. {when}",
        numbers(_numbers(parts)),
        section("Claims", summary(parts), note=_NOTE),
        *(shown(part) for part in parts),
        section(
            "How it was made",
            f"<pre>{escape(command)}</pre>",
            table({"version": __version__, **about, **versions}),
        ),
        style=_STYLE + STRIP + CLAIMED,
    )


_NOTE = (
    "Verdicts are computed, with intervals of 95 % over seeds. Confirmed: the interval lies on the claim's side. "
    "Not confirmed: it does not, whether it says the opposite or decides nothing; the evidence tells which. Not testable here: "
    "a condition of the claim does not hold, such as that the judge tells good from random. The bundled models are small: "
    "what does not hold for them may hold for larger ones."
)


def _numbers(parts: Sequence[Part]) -> Iterator[tuple[str, str, str]]:
    counts = Counter(one.verdict for part in parts if part.section for one in part.section.findings)
    yield "claims", str(sum(counts.values())), f"in {len(parts)} sections"
    for verdict in VERDICTS:
        yield verdict, str(counts[verdict]), ""
    yield "time", duration(sum(part.section.seconds for part in parts if part.section)), "of this run"
    if failed := sum(part.section is None for part in parts):
        yield "not made", str(failed), "sections"


def summary(parts: Sequence[Part]) -> str:
    """Every claim with its verdict, and where it is judged."""
    rows = "".join(row for part in parts for row in _summed(part))
    return (
        f'<table class="summary"><tr><th>figure</th><th>claim</th><th>verdict</th></tr>{rows}</table>'
        if rows
        else ""
    )


def _summed(part: Part) -> Iterator[str]:
    if part.section is None:
        yield (
            f'<tr><td class="figure">{escape(part.figure)}</td><td><a href="#{part.name}">{escape(part.name)}</a></td>'
            '<td class="failed">not made</td></tr>'
        )
        return
    for one in part.section.findings:
        yield (
            f'<tr><td class="figure">{escape(part.figure)}</td><td><a href="#{part.name}">{escape(one.claim)}</a></td>'
            f'<td class="verdict {one.verdict}">{escape(one.verdict)}</td></tr>'
        )


def shown(part: Part) -> str:
    """A section of the page."""
    head = f'<h2 id="{part.name}">{escape(part.headline)}</h2>'
    made = part.section
    if made is None:
        return f'<section class="part">{head}<p class="failed">{escape(part.why)}</p></section>'
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in made.notes)
    return (
        f'<section class="part">{head}<p class="published"><b>Published.</b> {escape(made.published)}</p>'
        f"{made.html}{claimed(made.findings)}{notes}"
        f'<p class="note">This alone, {duration(made.seconds)}: <code>{escape(made.command)}</code></p></section>'
    )
