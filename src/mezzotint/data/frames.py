"""Places as fixed frames: a ground under a sky, the moon, and space, each always the same picture."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image

from mezzotint.data.places import draw_moon, draw_outdoors, draw_space


@dataclass(frozen=True)
class Frame:
    """How a place is called: after a thing that is there, and alone."""

    where: tuple[str, ...]
    alone: tuple[str, ...]


_GROUNDS = {
    "sea": ("on the sea", "the sea"),
    "grass": ("on the grass", "a green meadow"),
    "desert": ("in the desert", "the desert"),
    "snow": ("in the snow", "snow"),
    "city": ("in the city", "a city"),
    "mountains": ("in the mountains", "mountains"),
}
_SKIES = {"day": "", "sunset": " at sunset", "night": " at night", "storm": " under gray clouds"}
_OVER = {"day": "a blue sky", "sunset": "a sunset", "night": "a starry night", "storm": "gray clouds"}


def _frames() -> dict[str, Frame]:
    frames = {}
    for ground, (where, alone) in _GROUNDS.items():
        for sky, when in _SKIES.items():
            names = (f"{alone}{when}", f"{_OVER[sky]} over {alone}") if when else (alone,)
            here = (where + when, when.strip()) if when and ground == "grass" else (where + when,)
            frames[f"{ground} {sky}"] = Frame(here, names)
    for sky, when in _SKIES.items():
        both = "the sea with mountains"
        frames[f"sea+mountains {sky}"] = Frame((f"on {both}{when}",), (f"{_OVER[sky]} over {both}",))
    frames["moon"] = Frame(("on the moon",), ("the surface of the moon",))
    frames["space"] = Frame(("in space",), ("outer space full of stars",))
    return frames


FRAMES = _frames()
"""By name, such as `sea sunset`: the ground, then the sky."""


def draw_frame(name: str, size: int) -> Image.Image:
    """The picture (size, size) of a frame, to draw on."""
    return _draw(name, size).copy()


@lru_cache(maxsize=64)
def _draw(name: str, size: int) -> Image.Image:
    rng = random.Random(f"frame {name}")
    if name == "moon":
        return draw_moon(rng, size)
    if name == "space":
        return draw_space(rng, size)
    ground, sky = name.split(" ")
    base = ground.removesuffix("+mountains")
    return draw_outdoors(rng, size, sky, base, hills=base == "mountains" or base != ground)
