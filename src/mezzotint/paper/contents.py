"""What the page consists of: the studies, as `contents.yaml` lists them, and the sections made in other ways."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field

from mezzotint.config import Config
from mezzotint.errors import ConfigError, nearest
from mezzotint.paper.section import Maker, PaperSettings
from mezzotint.stats import COVERAGE
from mezzotint.study.spec import Scalar, Study

HERE = Path(__file__).parent
_LAST = {"conclusion": 100.0, "slips": 101.0}
PIXELS, TEXT = "faces", "emoji"


class Substitute(Config):
    """What takes the place of parts of a study: for a real checkpoint, or in a quick run."""

    base: dict[str, Scalar] = Field({})
    axes: dict[str, tuple[Scalar, ...]] = Field({})


class StudySection(Config):
    """A study and how its section shows it."""

    study: str
    figure: str
    title: str
    published: str
    """What the report shows and claims, in our words."""
    differs: str = ""
    """Where the bundled models differ from the report's: size, training, subject."""
    across: str = ""
    """The axis of the columns of pictures; without one, seeds."""
    down: str = ""
    """The axis of the rows; seeds in addition."""
    names: tuple[str, ...] = ()
    """Of the columns, where their values are long."""
    labels: dict[str, str] = Field({})
    """Of values of either axis."""
    shown: int = Field(1, ge=1)
    """Seeds whose pictures are on the page."""
    share: float = Field(1.0, gt=0, le=1)
    """Of the seeds, where pictures are expensive."""
    again: int = 0
    """So many pictures are drawn once more, to see whether they are the same."""
    real: Substitute = Field(default_factory=lambda: Substitute.from_mapping({}, "real"))
    """What a real checkpoint is asked in place of what the bundled models know."""
    quick: Substitute = Field(default_factory=lambda: Substitute.from_mapping({}, "quick"))
    """What is drawn with `--quick`: fewer values of an axis that is dear. Claims then name those that are left."""
    notes: tuple[str, ...] = ()

    def study_for(self, setting: PaperSettings) -> Study:
        """The study with the models and seeds of this run."""
        found = Study.read(HERE / "studies" / f"{self.study}.yaml")
        model = setting.pixel_model if found.model == PIXELS else setting.text_model
        count = max(min(min(COVERAGE), setting.seeds), round(setting.seeds * self.share))
        changes: dict[str, Any] = {"name": self.study, "model": model, "seeds": count}
        if model not in (PIXELS, TEXT):
            changes |= {"base": found.base | self.real.base, "axes": found.axes | self.real.axes}
        found = Study(**(found.model_dump(exclude_unset=True) | changes))
        return self._reduce(found) if setting.quick else found

    def _reduce(self, study: Study) -> Study:
        """The study of a quick run."""
        axes = self.quick.axes
        changes = {
            "base": study.base | self.quick.base,
            "axes": study.axes | axes,
            "claims": tuple(_without_other_values(claim, axes) for claim in study.claims),
        }
        return Study(**(study.model_dump(exclude_unset=True) | changes)) if axes else study


def _without_other_values(part: Any, axes: Mapping[str, Sequence[Any]]) -> Any:
    """A claim, or a part of one, whose lists of values name only those that the axes have."""
    if not isinstance(part, Mapping):
        return part
    return {
        name: [one for one in value if one in axes[name]]
        if name in axes and isinstance(value, list | tuple)
        else _without_other_values(value, axes)
        for name, value in part.items()
    }


class Contents(Config):
    """All studies of the page."""

    sections: tuple[StudySection, ...]


@cache
def study_sections() -> tuple[StudySection, ...]:
    """The studies of the page."""
    return Contents.read(HERE / "contents.yaml").sections


def figure_order(figure: str) -> tuple[float, str]:
    """Where a figure stands on the page: `text after figure 15` between 15 and 16."""
    number = re.search(r"\d+", figure)
    if number is None:
        return _LAST.get(figure, 99.0), figure
    return int(number[0]) + 0.5 * figure.startswith("text"), ""


def figure_numbers(figure: str) -> set[int]:
    """The numbers that a section is of: `7-9` is 7, 8 and 9."""
    if not (found := re.fullmatch(r"(\d+)(?:-(\d+))?", figure)):
        return set()
    return set(range(int(found[1]), int(found[2] or found[1]) + 1))


def select_makers(makers: Sequence[Maker], only: Sequence[str], skip: Sequence[str] = ()) -> list[Maker]:
    """In the order of the figures: all, or those of these names, without some. ConfigError names the nearest known one."""
    known = [maker.name for maker in makers]
    for name in (*only, *skip):
        if name not in known:
            raise ConfigError(
                f"no section is called {name!r}; known: {', '.join(known)}{nearest(name, known)}"
            )
    found = [maker for maker in makers if (not only or maker.name in only) and maker.name not in skip]
    if not found:
        raise ConfigError("no section is left; name fewer with --skip")
    return sorted(found, key=lambda maker: figure_order(maker.figure))
