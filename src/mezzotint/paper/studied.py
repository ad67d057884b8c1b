"""A section that is a study: its pictures on a strip, its numbers, and its claims judged."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from time import monotonic

import numpy as np

from mezzotint.engine import Engine
from mezzotint.paper import strip
from mezzotint.paper.contents import StudySection
from mezzotint.paper.section import PaperSettings, Section, open_cached
from mezzotint.study.answer import StudyResult, StudyRunner
from mezzotint.study.finding import Finding, verdict
from mezzotint.study.metrics.looks import pixels


class StoppedError(Exception):
    """A signal ended the run; `code` is what the process should end with."""

    def __init__(self, code: int) -> None:
        super().__init__(f"stopped with code {code}")
        self.code = code


@dataclass
class StudyMaker:
    """A maker. `minutes`: when it stops drawing, 0 for never; the run that is meant may have less left."""

    entry: StudySection
    minutes: float = 0.0

    @property
    def name(self) -> str:
        """The study's."""
        return self.entry.study

    @property
    def figure(self) -> str:
        """As the report numbers it."""
        return self.entry.figure

    @property
    def title(self) -> str:
        """What it is about."""
        return self.entry.title

    def runner(self, setting: PaperSettings) -> StudyRunner:
        """With all open that it needs. MezzotintError tells all that is wrong with it, before any work."""
        return StudyRunner(
            self.entry.study_for(setting), setting.store, partial(open_cached, precision=setting.precision)
        )

    def missing(self, setting: PaperSettings) -> int:
        """How many pictures are to be drawn."""
        return sum(item.cost.pictures for item in self.runner(setting).work)

    def __call__(self, setting: PaperSettings) -> Section:
        began = monotonic()
        laboratory = self.runner(setting)
        answer = laboratory.run(self.minutes, setting.say)
        if answer.outcome.code:
            raise StoppedError(answer.outcome.code)
        command = setting.command(self.name)
        laboratory.write_page(answer, setting.folder / self.name, command)
        findings = (*laboratory.findings(answer.table), *self._redraw(laboratory, answer))
        html = strip.html(self.entry, laboratory, answer.table)
        notes = (*self.entry.notes, *_problems(answer))
        return Section(
            self.figure, self.name, self.title, self.entry.published, html, findings, command,
            monotonic() - began, notes, setting.difference(self.entry.differs),
        )  # fmt: skip

    def _redraw(self, laboratory: StudyRunner, answer: StudyResult) -> tuple[Finding, ...]:
        """The first pictures drawn once more, each alone, and compared with those that are kept."""
        rows = answer.table.rows[: self.entry.again]
        if not rows:
            return ()
        with Engine(laboratory.outline.parts[0].network, laboratory.study.mode) as engine:
            drawn = [engine.submit(row.request).result().image for row in rows]
        pairs = zip(rows, drawn, strict=True)
        most = max(float(np.abs(pixels(laboratory.picture(row)) - pixels(one)).max()) for row, one in pairs)
        said = f"Of {len(rows)} pictures drawn again, each alone, no value of a pixel differs by more than {most:g} of 255."
        claim = "A fixed seed gives the same picture again"
        return (Finding(claim, verdict(most <= 2, most > 2), said, "report"),)


def _problems(answer: StudyResult) -> tuple[str, ...]:
    """What is missing, and why."""
    failed = [f"{len(where)} pictures failed: {what}" for what, where in answer.outcome.failed.items()]
    late = (
        ["The time was over before all was drawn; the same command goes on."] if answer.outcome.late else []
    )
    return (*failed, *late)
