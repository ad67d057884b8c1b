"""How long the page will take on this machine: one number, from measurements, that `--dry-run` prints.

Sections that are studies are counted picture by picture, at rates measured here (`study/cost.py`). What the others took once
is in `times.yaml`; it is taken in proportion to what a row of the network takes there and here.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import Field

from mezzotint.config import Config
from mezzotint.paper.section import Maker, PaperSettings, open_cached
from mezzotint.paper.studied import StudyMaker
from mezzotint.request import Request
from mezzotint.study.cost import measure_rates

PROBE = Request(prompt="a red apple", steps=2, guidance="cfg(4)")


class Times(Config):
    """Seconds measured with `--quick` on one core: of each section, and of a row of the networks of `emoji` and `faces`."""

    machine: str
    row: float = Field(gt=0)
    pixel_row: float = Field(gt=0)
    sections: dict[str, float]


@cache
def times() -> Times:
    """The measurement that comes with the package."""
    return Times.read(Path(__file__).parent / "times.yaml")


def estimate_seconds(maker: Maker, setting: PaperSettings) -> float:
    """Of a section on this machine. MezzotintError where it cannot be made."""
    if isinstance(maker, StudyMaker):
        return sum(item.seconds for item in maker.runner(setting).work)
    known = times()
    more = 1.0 if setting.quick else float(getattr(maker, "more", 1.0))
    here = measure_rates(open_cached(setting.text_model, setting.precision), "fast", PROBE).row
    return known.sections.get(maker.name, 0.0) * more * here / known.row
