"""What a study is told: a YAML file, checked before any work."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_type_hints

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from mezzotint.axes import parse_axis
from mezzotint.config import Config, present_precision
from mezzotint.errors import ConfigError
from mezzotint.precision import Precision
from mezzotint.request import Request
from mezzotint.study.table import Value

MAX_PICTURES = 1_000_000
Scalar = StrictBool | StrictInt | StrictFloat | StrictStr | None
Values = tuple[Scalar, ...]


class Study(Config):
    """A question, and the pictures that answer it: every combination of the axes, each with the same seeds."""

    name: str = Field(default="", max_length=100, pattern=r"^[\w .-]*$")
    """By default the file's."""
    question: str = ""
    model: str = "emoji"
    mode: Literal["fast", "exact"] = "fast"
    precision: Precision = "auto"
    base: dict[str, Scalar] = Field(default={})
    """Fields of the requests, as `mezzotint generate` has them; `init` and `mask` are files, and `lora` is `FILE:0.8 + FILE`."""
    axes: dict[str, Values] = Field(default={})
    """Crossed: lists, or ranges such as `1..20 step 0.5`, which `axes.py` reads.
    A field of a request, `model`, a field of a guidance term (`guidance.cfg.scale`), or a word that a text
    has in braces: `guidance: cfg(2) + clip("a cat", effect={x})` and the axis `x`."""
    zipped: tuple[dict[str, Values], ...] = ()
    """Tables of axes that go along together; each table is crossed with all else."""
    search: dict[str, Any] = Field(default={})
    """Where `mezzotint study tune` looks: axes with values, `[10, 20]`, or with a range, `{low: 1, high: 12, log: true}`."""
    seeds: Annotated[int, Field(ge=1)] | tuple[Annotated[int, Field(ge=0)], ...] = 8
    """How many, from 0 up, or which."""
    metrics: tuple[str, ...] = ()
    reference: str = ""
    """A folder of pictures, or a data set, for the metrics that compare with one."""
    text: str = ""
    """What CLIP scores compare with; by default each prompt."""
    color: str = ""
    """What color distances compare with; by default the color of the guidance."""
    plots: tuple[dict[str, Any], ...] = ()
    claims: tuple[dict[str, Any], ...] = ()
    """What is said about the pictures, to be judged: `study/claims.py`."""
    folder: Path = Path()
    """Where the files that are named here are looked for; by default where the study lies."""

    _present = model_validator(mode="before")(present_precision)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The study in a YAML file; ConfigError says all that is wrong with its form."""
        found = super().read(path)
        more: dict[str, Any] = {} if found.name else {"name": path.stem}
        return found.model_copy(update={**more, "folder": path.parent / found.folder})

    @model_validator(mode="before")
    @classmethod
    def _ranges(cls, found: Any) -> Any:
        """Texts such as `1..20` in place of lists of values."""
        if not isinstance(found, dict):
            return found
        found = dict(found)
        if isinstance(found.get("axes"), dict):
            found["axes"] = _expand_ranges(found["axes"])
        if isinstance(found.get("zipped"), list | tuple):
            found["zipped"] = [_expand_ranges(t) if isinstance(t, dict) else t for t in found["zipped"]]
        return found

    def model_post_init(self, context: Any) -> None:
        """What pydantic cannot say. ConfigError, whichever way the study is made."""
        if empty := [name for table in self.tables for name, values in table.items() if not values]:
            raise ConfigError(f"axis {', '.join(empty)} is empty; give it values, or leave it out")
        for name in (names := [name for table in self.tables for name in table]):
            if names.count(name) > 1:
                raise ConfigError(f"axis {name} is there twice; keep one")
        for name, values in self.axes.items():
            if len({repr(value) for value in values}) < len(values):
                raise ConfigError(f"axis {name} has a value twice; keep one")
        for table in self.zipped:
            if len({len(values) for values in table.values()}) > 1:
                lengths = ", ".join(f"{name} has {len(values)}" for name, values in table.items())
                raise ConfigError(f"zipped axes go along together, so they need as many values: {lengths}")
        if not self.seed_list or len(set(self.seed_list)) < len(self.seed_list):
            raise ConfigError("seeds are how many, or a list of different ones")
        if self.count > MAX_PICTURES:
            raise ConfigError(f"{self.count} pictures in one study; at most {MAX_PICTURES} are made")

    @property
    def tables(self) -> tuple[dict[str, tuple[Value, ...]], ...]:
        """All axes: those that go along together in one table."""
        return (*({name: values} for name, values in self.axes.items()), *filter(None, self.zipped))

    @property
    def axis_names(self) -> tuple[str, ...]:
        """In the order of the file."""
        return tuple(name for table in self.tables for name in table)

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds."""
        return (
            self.seeds if isinstance(self.seeds, tuple) else tuple(range(min(self.seeds, MAX_PICTURES + 1)))
        )

    @property
    def count(self) -> int:
        """Of pictures."""
        return prod(len(next(iter(table.values()))) for table in self.tables) * len(self.seed_list)

    def with_seeds(self, count: int) -> Self:
        """The same with so many seeds: from 0 up, or the first of its list."""
        if isinstance(self.seeds, tuple):
            if count > len(self.seeds):
                raise ConfigError(f"{count} seeds are asked of a study that lists {len(self.seeds)}")
            return self.model_copy(update={"seeds": self.seeds[:count]})
        found = self.model_copy(update={"seeds": count})
        found.model_post_init(None)
        return found


def _expand_ranges(axes: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(Request)
    return {
        name: _parse_range(name, values, hints.get(name) is int) if isinstance(values, str) else values
        for name, values in axes.items()
    }


def _parse_range(name: str, text: str, whole: bool) -> list[Any]:
    try:
        return parse_axis(text, whole)
    except ConfigError as error:
        raise ConfigError(f"axis {name}: {error}") from error
