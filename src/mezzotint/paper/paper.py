"""The whole page: every section in the order of the figures, each kept as it is finished."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from mezzotint.errors import MezzotintError
from mezzotint.paper.contents import study_sections
from mezzotint.paper.estimate import estimate_seconds
from mezzotint.paper.page import PagePart, write
from mezzotint.paper.section import Maker, PaperSettings
from mezzotint.paper.studied import StoppedError, StudyMaker
from mezzotint.progress import duration


def makers() -> tuple[Maker, ...]:
    """All sections: studies, and those made in other ways."""
    from mezzotint.paper.made import MAKERS  # which opens torch and trains

    return (*(StudyMaker(entry) for entry in study_sections()), *MAKERS)


@dataclass
class Paper:
    """A run. `parts`: what is finished, or why it is not."""

    setting: PaperSettings
    makers: Sequence[Maker]
    minutes: float = 0.0
    command: str = ""
    parts: list[PagePart] = field(default_factory=list)
    code: int = 0
    _seconds: dict[str, float] = field(default_factory=dict)  # estimates, by section

    def plan(self) -> Iterator[str]:
        """What there is to do and how long it takes here, a line a section and one in all."""
        total = 0.0
        for maker in self.makers:
            try:
                takes = self._estimate(maker)
                missing = maker.missing(self.setting) if isinstance(maker, StudyMaker) else None
            except MezzotintError as error:  # shown in its place, when its turn comes
                yield f"{heading(maker)}: cannot be made: {error}"
                continue
            total += takes
            what = "" if missing is None else f"{missing} pictures to draw, "
            yield f"{heading(maker)}: {what}about {duration(takes)}"
        yield f"{len(self.makers)} sections, about {duration(total)} in all on this machine"

    def _estimate(self, maker: Maker) -> float:
        """Once for each section: opening a study takes a moment."""
        if maker.name not in self._seconds:
            self._seconds[maker.name] = estimate_seconds(maker, self.setting)
        return self._seconds[maker.name]

    def __call__(self) -> Path:
        """Make all; returns the page's path. A section that fails is shown, and `code` is then 1."""
        deadline = monotonic() + 60 * self.minutes if self.minutes else float("inf")
        for i, maker in enumerate(self.makers):
            if monotonic() > deadline:
                self._add(
                    PagePart.from_failure(maker, "The time was over; the same command goes on from here.")
                )
                continue
            left = sum(self._seconds.get(one.name, 0.0) for one in self.makers[i:])
            remains = f"; about {duration(left)} left in all" if left else ""
            self.setting.say(f"section {i + 1} of {len(self.makers)}: {heading(maker)}{remains}")
            if isinstance(maker, StudyMaker) and self.minutes:
                maker.minutes = max(0.01, (deadline - monotonic()) / 60)
            try:
                self._add(PagePart(maker.name, maker.figure, maker(self.setting)))
            except MezzotintError as error:
                self._add_failure(maker, str(error))
            except StoppedError as stopped:
                self.code = stopped.code
                break
            except Exception as error:  # whatever one section raises is its own
                self._add_failure(maker, f"{type(error).__name__}: {error}")
            self._write()
        return self._write()

    def _add_failure(self, maker: Maker, why: str) -> None:
        self.setting.say(f"error: {maker.name}: {why}")
        self.code = 1
        self._add(PagePart.from_failure(maker, why))

    def _add(self, part: PagePart) -> None:
        self.parts.append(part)

    def _write(self) -> Path:
        return write(self.setting, self.parts, self.command)


def heading(maker: Maker) -> str:
    """Such as `figure 15, guidance-scale`."""
    return f"{'figure ' if maker.figure[0].isdigit() else ''}{maker.figure}, {maker.name}"
