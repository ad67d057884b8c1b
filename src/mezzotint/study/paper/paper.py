"""The whole page: every section in the order of the figures, each kept as it is finished."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from mezzotint.errors import MezzotintError
from mezzotint.study.paper.contents import chosen, entries
from mezzotint.study.paper.page import Part, write
from mezzotint.study.paper.section import Maker, Setting
from mezzotint.study.paper.studied import StoppedError, Studied
from mezzotint.study.run import duration


def makers() -> tuple[Maker, ...]:
    """All sections: studies, and those made in other ways."""
    from mezzotint.study.paper.made import MAKERS  # which opens torch and trains

    return (*(Studied(entry) for entry in entries()), *MAKERS)


@dataclass
class Paper:
    """A run. `parts`: what is finished, or why it is not."""

    setting: Setting
    makers: Sequence[Maker]
    minutes: float = 0.0
    command: str = ""
    parts: list[Part] = field(default_factory=list)
    code: int = 0

    @classmethod
    def of(cls, setting: Setting, only: Sequence[str] = (), minutes: float = 0.0, command: str = "") -> Paper:
        """All sections, or those of these names. ConfigError for an unknown one, before any work."""
        return cls(setting, chosen(makers(), only), minutes, command)

    def told(self) -> Iterator[str]:
        """What there is to do, a line a section and one in all."""
        pictures, seconds = 0, 0.0
        for maker in (one for one in self.makers if isinstance(one, Studied)):
            try:
                work = maker.laboratory(self.setting).work
            except MezzotintError as error:  # shown in its place, when its turn comes
                yield f"{headed(maker)}: cannot be made: {error}"
                continue
            missing, takes = sum(item.cost.pictures for item in work), sum(item.seconds for item in work)
            pictures, seconds = pictures + missing, seconds + takes
            yield f"{headed(maker)}: {missing} pictures to draw, about {duration(takes)}"
        others = [maker.name for maker in self.makers if not isinstance(maker, Studied)]
        beside = f"; beside them {', '.join(others)}, which are not of studies" if others else ""
        yield f"{pictures} pictures to draw in all, about {duration(seconds)} on this machine{beside}"

    def __call__(self) -> Path:
        """Make all; returns the page's path. A section that fails is shown, and `code` is then 1."""
        deadline = monotonic() + 60 * self.minutes if self.minutes else float("inf")
        for maker in self.makers:
            if monotonic() > deadline:
                self._add(Part.failed(maker, "The time was over; the same command goes on from here."))
                continue
            self.setting.say(headed(maker))
            if isinstance(maker, Studied) and self.minutes:
                maker.minutes = max(0.01, (deadline - monotonic()) / 60)
            try:
                self._add(Part(maker.name, maker.figure, maker(self.setting)))
            except MezzotintError as error:
                self._failed(maker, str(error))
            except StoppedError as stopped:
                self.code = stopped.code
                break
            except Exception as error:  # whatever one section raises is its own
                self._failed(maker, f"{type(error).__name__}: {error}")
            self._write()
        return self._write()

    def _failed(self, maker: Maker, why: str) -> None:
        self.setting.say(f"error: {maker.name}: {why}")
        self.code = 1
        self._add(Part.failed(maker, why))

    def _add(self, part: Part) -> None:
        self.parts.append(part)

    def _write(self) -> Path:
        return write(self.setting, self.parts, self.command)


def headed(maker: Maker) -> str:
    """Such as `figure 15, guidance-scale`."""
    return f"{'figure ' if maker.figure[0].isdigit() else ''}{maker.figure}, {maker.name}"
