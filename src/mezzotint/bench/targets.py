"""The bars that Mezzotint has set itself, and whether a result is over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Target:
    """A number, what it may be, and whether it is."""

    name: str
    value: float
    sense: Literal["<=", ">=", "=="]
    limit: float
    unit: str  # "", "s", "dB"
    holds: bool


def targets(result: Mapping[str, Any]) -> list[Target]:
    """Every bar that was measured; the likeness of pictures only in float32, where it is promised."""
    return [*_speed_targets(result), *_cold_start_targets(result["cold_start"]), *_parity_targets(result)]


def _speed_targets(result: Mapping[str, Any]) -> Iterator[Target]:
    one, many = result["one_picture"], result["mixed"]
    count = many["pictures_each_time"]
    outside = "outside_network_and_decoder"
    yield _at_most("one picture, of diffusers' time", one["ratio_of_medians"], 0.6)
    yield _at_most(f"{count} mixed requests, of diffusers' time", many["ratio_of_medians"], 0.4)
    yield _at_most("outside network and decoder, one picture", one["mezzotint"][outside], 0.05)
    yield _at_most(f"outside network and decoder, {count} mixed", many["mezzotint"][outside], 0.05)


def _cold_start_targets(cold: Mapping[str, Any] | None) -> Iterator[Target]:
    if cold:
        yield _at_most("cold start to a PNG on disk", cold["mezzotint_median_s"], 4.0, "s")
        yield _at_most("cold start, of a diffusers script's time", cold["ratio_of_medians"], 0.45)


def _parity_targets(result: Mapping[str, Any]) -> Iterator[Target]:
    one, many = result["one_picture"], result["mixed"]
    if result["model"]["dtype"] == "float32":
        yield _at_least("picture against diffusers', one, lowest", one["psnr"]["all"]["min_db"], 45)
        yield _at_least("picture against diffusers', mixed, lowest", many["psnr"]["all"]["min_db"], 45)
    ours, theirs = (
        (one[side]["evaluations"] + many[side]["evaluations"]) for side in ("mezzotint", "diffusers")
    )
    yield Target("evaluations, of diffusers'", ours / theirs, "==", 1.0, "", ours == theirs)


def _at_most(name: str, value: float, limit: float, unit: str = "") -> Target:
    return Target(name, value, "<=", limit, unit, value <= limit)


def _at_least(name: str, value: float, limit: float) -> Target:
    return Target(name, value, ">=", limit, "dB", value >= limit)
