"""Axes of sweeps: the values that a text such as `1..20 step 0.5` stands for, and their combinations."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import product
from typing import Any

import yaml

from mezzotint.errors import ConfigError

MAX_VALUES = 10_000
"""Of one axis."""
_NUMBER = r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?"
_STEPPED = (
    re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})(?:\s+step\s+({_NUMBER}))?"),
    re.compile(rf"({_NUMBER})\s*-\s*({_NUMBER})(?:\s*\(\s*({_NUMBER})\s*\))?"),
)
_COUNTED = re.compile(rf"({_NUMBER})\s*-\s*({_NUMBER})\s*\[\s*(\d+)\s*\]")


def parse_axis(text: str, whole: bool = False) -> list[Any]:
    """The values of `1..20`, `1..20 step 0.5`, `[1, 2, 4]`, `1-20 (+1)`, `1-20 [5]` or `a, b, c`.

    Both ends belong to a range. `whole` rounds evenly spaced values (`1-20 [5]`) down, as A1111 does for steps.
    The parts of a list may be ranges too; a value with a comma stands in double quotes. ConfigError.
    """
    text = text.strip()
    if text.startswith("["):
        return _yaml_list(text)
    values = [value for part in _parts(text) for value in _values(part, whole)]
    if not values:
        raise ConfigError("an axis is empty; give it values, such as 1..20 or a, b, c")
    if len(values) > MAX_VALUES:
        raise ConfigError(f"{text!r} has {len(values)} values; an axis has at most {MAX_VALUES}")
    return values


def cross(axes: Sequence[Mapping[str, Sequence[Any]]]) -> Iterator[dict[str, Any]]:
    """Every combination of the tables, the last fastest; the axes of one table go along together."""
    lines = [[dict(zip(t, point, strict=True)) for point in zip(*t.values(), strict=True)] for t in axes]
    for combination in product(*lines):
        yield {name: value for line in combination for name, value in line.items()}


def _yaml_list(text: str) -> list[Any]:
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        values = None
    if not isinstance(values, list) or not values:
        raise ConfigError(f"{text!r} is no list; write it as [1, 2, 4]")
    return values


def _parts(text: str) -> list[str]:
    try:
        row = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise ConfigError(f"{text!r} is no list of values; close its quotes") from error
    return [part.strip() for part in row if part.strip()]


def _values(part: str, whole: bool) -> list[Any]:
    if match := _COUNTED.fullmatch(part):
        low, high, count = Decimal(match[1]), Decimal(match[2]), int(match[3])
        if not 2 <= count <= MAX_VALUES:
            raise ConfigError(f"{part!r} asks for {count} values; ask for 2 to {MAX_VALUES}")
        spaced = [low + (high - low) * i / (count - 1) for i in range(count)]
        return [int(value) for value in spaced] if whole else _plain(spaced)
    for form in _STEPPED:
        if match := form.fullmatch(part):
            return _range_values(part, *(Decimal(n) if n else None for n in match.groups()))
    value = yaml.safe_load(part) if re.fullmatch(rf"{_NUMBER}|true|false|null", part) else part
    return [float(part) if isinstance(value, str) and re.fullmatch(_NUMBER, part) else value]


def _range_values(part: str, low: Decimal | None, high: Decimal | None, step: Decimal | None) -> list[Any]:
    assert low is not None and high is not None
    step = step if step is not None else Decimal(1 if high >= low else -1)
    if step == 0 or (high - low) * step < 0:
        raise ConfigError(
            f"{part!r} never reaches {high}; its step should be {'above' if high > low else 'below'} 0"
        )
    last = (high - low) / step
    if last >= MAX_VALUES:
        raise ConfigError(f"{part!r} has more than {MAX_VALUES} values; take a larger step")
    return _plain([low + step * i for i in range(int(last) + 1)])


def _plain(values: list[Decimal]) -> list[Any]:
    """All int where all are whole, else all float, so that an axis has one kind of value."""
    if all(value == value.to_integral_value() for value in values):
        return [int(value) for value in values]
    return [float(f"{value:.10g}") for value in values]
