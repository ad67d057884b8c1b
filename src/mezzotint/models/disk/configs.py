"""Values of a network's config, each checked when it is read. ModelError names the file and the setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mezzotint.errors import ModelError

Config = Mapping[str, Any]

# Bounds of what a config may ask for: widths, counts of layers, latents along a side.
WIDE, MANY, SIDE = 1_000_000, 100, 1024


def whole(c: Config, key: str, default: int | None, where: str, most: int = WIDE) -> int:
    """A number that sizes something: bounded, so that a hostile config asks for nothing absurd.

    `default` None: it must be there.
    """
    return _whole(c.get(key, default), key, where, most)


def real(c: Config, key: str, default: float, where: str, low: float, high: float) -> float:
    """A finite number between two bounds."""
    value = c.get(key, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise ModelError(f"{where}: {key} is {value!r}; it should be a number from {low:g} to {high:g}")
    return float(value)


def wholes(c: Config, key: str, default: tuple[int, ...], where: str, most: int = WIDE) -> tuple[int, ...]:
    """One number a level, for at most 8 levels."""
    found = c.get(key, default)
    if not isinstance(found, list | tuple) or not 1 <= len(found) <= 8:
        raise ModelError(f"{where}: {key} is {found!r}; it should list one number a level, at most 8")
    return tuple(_whole(n, key, where, most) for n in found)


def each_level(
    c: Config, key: str, default: int, levels: int, where: str, most: int = WIDE
) -> tuple[int, ...]:
    """One number for every level, given as one number for all or as a list."""
    found = c.get(key, default)
    if not isinstance(found, list | tuple):
        return (_whole(found, key, where, most),) * levels
    numbers = wholes(c, key, (), where, most)
    if len(numbers) != levels:
        raise ModelError(f"{where}: {key} has {len(numbers)} numbers for {levels} levels")
    return numbers


def blocks(found: Any, known: Mapping[str, bool], levels: int, where: str) -> tuple[bool, ...]:
    """What `known` says of each level's block."""
    if (
        not isinstance(found, list | tuple)
        or len(found) != levels
        or not all(isinstance(name, str) and name in known for name in found)
    ):
        raise ModelError(f"{where}: block types {found!r}; Mezzotint knows {', '.join(known)}, one a level")
    return tuple(known[name] for name in found)


def size(c: Config, default: int, where: str) -> tuple[int, int]:
    """`sample_size` as (height, width)."""
    found = c.get("sample_size")
    pair = (
        found
        if isinstance(found, list | tuple) and len(found) == 2
        else [default if found is None else found] * 2
    )
    return _whole(pair[0], "sample_size", where, SIDE), _whole(pair[1], "sample_size", where, SIDE)


def _whole(value: Any, key: str, where: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ModelError(f"{where}: {key} is {value!r}; it should be a whole number from 1 to {most}")
    return value
