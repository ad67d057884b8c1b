"""What the sections of this room have in common: they are timed, and know the command that makes them alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from mezzotint.paper.section import PaperSettings, Section
from mezzotint.study.finding import LEAST, Finding


@dataclass(frozen=True)
class SectionParts:
    """What a section's own function makes."""

    html: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FunctionMaker:
    """A Maker: a function, and what is known before it runs. `published`: what the report shows, in our words."""

    figure: str
    name: str
    title: str
    published: str
    make: Callable[[PaperSettings], SectionParts]
    differs: str = ""
    more: float = 1.0  # how many times as long without --quick, by what is drawn and learned

    def __call__(self, setting: PaperSettings) -> Section:
        """Make it."""
        began = monotonic()
        made = self.make(setting)
        return Section(
            figure=self.figure,
            name=self.name,
            title=self.title,
            published=self.published,
            html=made.html,
            findings=made.findings,
            command=setting.command(self.name),
            seconds=monotonic() - began,
            notes=made.notes,
            differs=setting.difference(self.differs),
        )


def seeds(setting: PaperSettings, quick: int) -> list[int]:
    """Those of a section: as many as are asked for, in a quick run at most `quick`; never too few for a verdict."""
    return list(range(max(LEAST, min(setting.seeds, quick) if setting.quick else setting.seeds)))
