"""Axes of sweeps."""

from __future__ import annotations

from typing import Any

import pytest

from mezzotint.axes import cross, parse_axis
from mezzotint.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1..4", [1, 2, 3, 4]),
        ("4..1", [4, 3, 2, 1]),
        ("1..2 step 0.5", [1.0, 1.5, 2.0]),
        ("0..0.3 step 0.1", [0.0, 0.1, 0.2, 0.3]),
        ("-1..1", [-1, 0, 1]),
        ("1..20 step 6", [1, 7, 13, 19]),
        ("[1, 2, 4]", [1, 2, 4]),
        ("1-5 (+2)", [1, 3, 5]),
        ("10-4 (-3)", [10, 7, 4]),
        ("1-3", [1, 2, 3]),
        ("0-1 [5]", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("a, b, c", ["a", "b", "c"]),
        ('"a cat, black", a dog', ["a cat, black", "a dog"]),
        ("1-3, 10", [1, 2, 3, 10]),
        ("1e-4, 1e-3", [1e-4, 1e-3]),
        ("euler, dpmpp-2m", ["euler", "dpmpp-2m"]),
    ],
)
def test_parse_axis_reads_every_form(text: str, values: list[Any]) -> None:
    found = parse_axis(text)
    assert found == values and list(map(type, found)) == list(map(type, values))


def test_parse_axis_rounds_evenly_spaced_steps_down() -> None:
    assert parse_axis("1-20 [5]", whole=True) == [1, 5, 10, 15, 20]


@pytest.mark.parametrize(
    "text", ["", "1..5 step -1", "1..5 step 0", "1-5 [1]", "0..1 step 1e-9", "[1, 2", '"a']
)
def test_parse_axis_refuses_what_is_no_axis(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_axis(text)


def test_cross_keeps_tables_together_and_runs_the_last_fastest() -> None:
    points = list(cross([{"a": [1, 2]}, {"b": [3, 4], "c": [5, 6]}]))
    assert points == [{"a": a, "b": b, "c": c} for a in (1, 2) for b, c in ((3, 5), (4, 6))]
