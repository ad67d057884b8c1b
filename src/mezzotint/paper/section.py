"""What a part of the page says: a figure of the published report, ours, and what our numbers say about its claims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from mezzotint.models import AnyModel, open_model
from mezzotint.store import Store
from mezzotint.study.finding import Finding

REPORT = "“Text-to-Image Generation using CLIP and Diffusion Models”, project report, course SSY340, project group 24"
BUNDLED = ("emoji", "faces")


@dataclass(frozen=True)
class Section:
    """A figure, or a claim of the text, of the published report."""

    figure: str  # such as "15", "2-4" or "text"
    name: str  # such as "guidance-scale"
    title: str
    published: str  # what the report shows, in our words
    html: str  # figures and tables; pictures as data URIs, or files relative to the page
    findings: tuple[Finding, ...]
    command: str  # what makes this section alone
    seconds: float
    notes: tuple[str, ...] = ()
    differs: str = ""  # where our model differs from the report's: size, training, subject


@dataclass(frozen=True)
class PaperSettings:
    """How all sections are made."""

    quick: bool
    text_model: str
    pixel_model: str
    store: Store
    folder: Path  # where files of the page go
    say: Callable[[str], None]
    seeds: int
    precision: str = "auto"

    def difference(self, differs: str) -> str:
        """Where the models of this run differ from the report's; `differs` is written of the bundled ones."""
        if (self.text_model, self.pixel_model) == BUNDLED:
            return differs
        return (
            f"The report draws with Stable Diffusion v1-4 at 512x512 and ddpm-celebahq-256; here {self.text_model} and "
            f"{self.pixel_model} draw at their own size."
        )

    def command(self, name: str) -> str:
        """What makes a section alone."""
        return f"mezzotint paper --only {name}" + (" --quick" if self.quick else "")


@lru_cache(maxsize=4)
def open_cached(name: str, precision: str = "auto") -> AnyModel:
    """One for all sections."""
    return open_model(name, dtype=precision)


class Maker(Protocol):
    """What makes a section."""

    @property
    def name(self) -> str:
        """Such as "guidance-scale"."""

    @property
    def figure(self) -> str:
        """Such as "15", "2-4" or "text"."""

    @property
    def title(self) -> str:
        """A line above the section."""

    def __call__(self, setting: PaperSettings) -> Section:
        """Make it. MezzotintError where it cannot be."""
