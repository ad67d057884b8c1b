"""Where to look: axes with values to choose from, or with a range of numbers. All of it is checked before any work."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from mezzotint.axes import cross, parse_axis
from mezzotint.errors import ConfigError, MezzotintError, nearest
from mezzotint.guidance import Guidance
from mezzotint.request import Request
from mezzotint.study.cells import FIELDS, KINDS, Cell, cells, term_field
from mezzotint.study.spec import Study
from mezzotint.study.table import Value

Point = dict[str, Value]  # axis: value
Kind = Literal["whole", "real", "word", "any"]
_RANGE = ("low", "high", "log", "step")


@dataclass(frozen=True)
class Axis:
    """`values` to choose from, or where there are none the numbers from low to high."""

    name: str
    values: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None  # None: any number, which is then rounded so that it can be written down
    log: bool = False
    whole: bool = False

    @property
    def all(self) -> tuple[Value, ...] | None:
        """Every value; None where there is no end of them."""
        step = self.step or (1 if self.whole and not self.log else 0)
        if self.values:
            return self.values
        if step:
            return tuple(self.round_value(self.low + i * step) for i in range(self._count(step)))
        return None

    def _count(self, step: float) -> int:
        return math.floor((self.high - self.low) / step + 1e-9) + 1

    @property
    def ends(self) -> tuple[Value, ...]:
        """What is checked before any work: the rest lies between."""
        return self.values or (self.round_value(self.low), self.round_value(self.high))

    def round_value(self, value: Any) -> Any:
        """As it is written down: a number of a range to a hundredth of it or finer, or to three digits where it is logarithmic"""
        if self.values:
            return value
        if self.whole:
            return round(value)
        if self.step:
            return float(f"{value:.10g}")
        digits = 2 - math.floor(math.log10(value if self.log else self.high - self.low))
        return min(max(round(float(value), digits), self.low), self.high)

    def holds(self, value: Value) -> bool:
        """Whether the search may come to this very value."""
        if self.values or self.all:
            return value in (self.all or ())
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high and self.round_value(value) == value  # type: ignore[operator]


@dataclass(frozen=True)
class Space:
    """All axes of a search."""

    axes: tuple[Axis, ...]

    @classmethod
    def of(cls, study: Study) -> Space:
        """The space of a study's `search`. ConfigError with all that is wrong with it."""
        if not study.search:
            raise ConfigError(
                "the study has no search; say where to look: search: {guidance.cfg.scale: {low: 1, high: 12}}"
            )
        wrong, axes = [], []
        for name, given in study.search.items():
            try:
                if name in study.axis_names:
                    raise ConfigError(f"search {name} is also an axis of the study; keep one")
                axes.append(_axis(name, given))
            except ConfigError as error:
                wrong.append(str(error))
        if wrong:
            raise ConfigError("; ".join(wrong))
        return cls(tuple(axes))

    @property
    def size(self) -> int | None:
        """How many settings there are; None where there is no end of them."""
        every = [axis.all for axis in self.axes]
        return None if None in every else math.prod(len(values or ()) for values in every)

    def grid(self) -> Iterator[Point]:
        """All settings of a space that has an end, the last axis fastest."""
        yield from cross([{axis.name: axis.all or ()} for axis in self.axes])

    @property
    def names(self) -> tuple[str, ...]:
        """Of the axes."""
        return tuple(axis.name for axis in self.axes)

    def corners(self) -> list[Point]:
        """Settings in which every end and every listed value stands once: where the space would go wrong, if it does."""
        longest = max(len(axis.ends) for axis in self.axes)
        return [{a.name: a.ends[min(i, len(a.ends) - 1)] for a in self.axes} for i in range(longest)]

    def to_point(self, drawn: dict[str, Any]) -> Point:
        """The setting that a sampler's numbers stand for."""
        return {axis.name: axis.round_value(drawn[axis.name]) for axis in self.axes}

    def holds(self, point: Point) -> bool:
        """Whether the search may come to this very setting."""
        return all(axis.holds(point[axis.name]) for axis in self.axes)


def with_points(study: Study, points: list[Point]) -> Study:
    """The study of these settings: they go along together, and are crossed with the axes that it has."""
    table = {name: tuple(point[name] for point in points) for name in points[0]}
    return study.model_copy(update={"zipped": (*study.zipped, table)})


def base_of(study: Study, space: Space) -> Point | None:
    """The setting that the study has without a search; None where it has none, as for words in braces."""
    try:
        found = [{name: _value(name, cell) for name in space.names} for cell in cells(study)]
    except MezzotintError:  # a text with a word in braces that only the search knows
        return None
    return found[0] if all(point == found[0] for point in found) else None


def _value(name: str, cell: Cell) -> Value:
    """What a cell has where the search would put its own. ConfigError where it has nothing."""
    if name == "model":
        return cell.model
    if name in FIELDS:
        return getattr(cell.request, name)  # type: ignore[no-any-return]
    if not name.startswith("guidance."):
        raise ConfigError(f"{name} is a word in braces")
    terms, where = cell.request.terms.terms, term_field(name)
    value = getattr(terms[where.index_in(terms)], where.field)
    if value is None:  # scale, where there is an effect
        raise ConfigError(f"{Guidance(terms)} has no {where.field}")
    return value  # type: ignore[no-any-return]


def kind_of(name: str) -> Kind:
    """What an axis takes, so far as its name tells. ConfigError for a term or field that is not there."""
    if name.startswith("guidance."):
        where = term_field(name)
        hint = get_type_hints(KINDS[where.term])[where.field]
    elif name in FIELDS:
        hint = get_type_hints(Request)[name]
    else:
        return "word" if name == "model" else "any"
    kinds = {hint, *get_args(hint)}
    return "whole" if int in kinds else "real" if float in kinds else "word"


def _axis(name: str, given: Any) -> Axis:
    kind = kind_of(name)
    if isinstance(given, str):
        given = parse_axis(given, whole=kind == "whole")
    if isinstance(given, list | tuple):
        return Axis(name, _values(name, tuple(given)))
    if not isinstance(given, dict):
        raise ConfigError(
            f"search {name} is {str(given)[:40]!r}; give values, [10, 20], or a range, {{low: 1, high: 12}}"
        )
    for word in given:
        if word not in _RANGE:
            raise ConfigError(
                f"search {name} has no {word!r}; a range has low, high, log, step{nearest(word, _RANGE)}"
            )
    if kind == "word":
        raise ConfigError(f"search {name}: it is no number, so it has no range; list its values")
    return _range(name, given, kind)


def _values(name: str, values: tuple[Value, ...]) -> tuple[Value, ...]:
    if not values:
        raise ConfigError(f"search {name} is empty; give it values, or leave it out")
    if any(value is not None and not isinstance(value, str | int | float) for value in values):
        raise ConfigError(f"search {name}: its values are numbers, texts, true, false or null")
    if len(set(values)) < len(values):
        raise ConfigError(f"search {name} has a value twice; keep one")
    return values


def _range(name: str, given: dict[str, Any], kind: Kind) -> Axis:
    if missing := [word for word in ("low", "high") if word not in given]:
        raise ConfigError(f"search {name} has no {' and no '.join(missing)}")
    numbers = {word: given[word] for word in ("low", "high", "step") if given.get(word) is not None}
    for word, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigError(f"search {name}: {word} is a number, got {value!r}")
        if kind == "whole" and value != int(value):
            raise ConfigError(f"search {name}: {word} is a whole number, got {value!r}")
    low, high, step, log = numbers["low"], numbers["high"], numbers.get("step"), given.get("log", False)
    if not isinstance(log, bool):
        raise ConfigError(f"search {name}: log is true or false, got {log!r}")
    if low >= high:
        advice = "they are the same: put it into the base" if low == high else "low must be below high"
        raise ConfigError(f"search {name} is empty from {low} to {high}; {advice}")
    if log and (low <= 0 or step):
        raise ConfigError(f"search {name}: a logarithmic range is above 0 and has no step")
    if step is not None and not 0 < step <= high - low:
        raise ConfigError(f"search {name}: step is above 0 and at most {high - low:g}, got {step!r}")
    whole = kind == "whole" or (kind == "any" and all(isinstance(n, int) for n in numbers.values()))
    return Axis(name, (), low, high, step, log, whole)
