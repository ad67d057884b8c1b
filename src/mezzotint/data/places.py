"""Places to put things: a sky, a ground, how people say it; and places as fixed frames, always the same picture."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

Color = tuple[int, int, int]

SKIES: dict[str, tuple[Color, Color, tuple[str, ...]]] = {
    "day": ((74, 152, 232), (190, 226, 250), ("under a blue sky", "on a sunny day", "by day")),
    "sunset": ((86, 52, 128), (255, 150, 62), ("at sunset", "at dusk", "in the evening light", "at sunrise")),
    "night": ((8, 10, 40), (36, 44, 96), ("at night", "under the stars", "in the dark")),
    "storm": ((70, 78, 92), (150, 156, 166), ("on a cloudy day", "under gray clouds", "in the rain")),
}
GROUNDS: dict[str, tuple[Color, Color, tuple[str, ...]]] = {
    "sea": ((30, 110, 170), (12, 60, 120), ("by the sea", "above the sea", "on the ocean", "at sea")),
    "grass": ((110, 178, 74), (58, 124, 46), ("on the grass", "in a meadow", "in a field", "in a park")),
    "desert": ((232, 196, 128), (204, 158, 88), ("in the desert", "on the sand", "on a beach")),
    "snow": ((246, 250, 255), (204, 220, 238), ("in the snow", "on a snowy field", "in winter")),
    "city": ((70, 74, 84), (46, 48, 56), ("in the city", "in a city street", "in front of a skyline")),
    "mountains": ((120, 140, 110), (84, 104, 80), ("in the mountains", "in front of mountains")),
}
SCENERY = {
    "sea": ("the sea", "the ocean", "a calm sea"),
    "grass": ("a green meadow", "grass", "green fields"),
    "desert": ("the desert", "sand dunes", "a sandy beach"),
    "snow": ("snow", "a snowy plain", "a winter landscape"),
    "city": ("a city", "a city skyline", "a cityscape", "tall buildings"),
    "mountains": ("mountains", "the hills", "a mountain range"),
}
SKY_NAMES = {
    "day": ("a blue sky", "a clear sky", "daylight"),
    "sunset": ("a sunset", "a beautiful sunset", "a sunrise", "an orange evening sky"),
    "night": ("a starry night", "a night sky", "the night"),
    "storm": ("a cloudy sky", "gray clouds", "a storm"),
}
MOON = ("on the moon", "standing on the moon", "on the surface of the moon")
SPACE = ("in space", "in outer space", "among the stars", "floating in space")


def landscape(rng: random.Random, size: int) -> tuple[Image.Image, tuple[str, ...], str]:
    """A place of its own: its picture (size, size), what to say of a thing there, and what to say of it alone."""
    kind = rng.random()
    if kind < 0.13:
        return draw_moon(rng, size), (rng.choice(MOON),), "the surface of the moon"
    if kind < 0.26:
        return draw_space(rng, size), (rng.choice(SPACE),), "outer space full of stars"
    sky, ground = rng.choice(list(SKIES)), rng.choice(list(GROUNDS))
    hills = ground == "mountains" or (ground != "city" and rng.random() < 0.3)
    image = draw_outdoors(rng, size, sky, ground, hills)
    said_ground, said_sky = rng.choice(GROUNDS[ground][2]), rng.choice(SKIES[sky][2])
    alone = f"{rng.choice(SKY_NAMES[sky])} {rng.choice(('over', 'above'))} {rng.choice(SCENERY[ground])}"
    if hills and ground != "mountains":
        alone += rng.choice((" with mountains", " and mountains"))
    said = (f"{said_ground} {said_sky}",) if sky != "day" or rng.random() < 0.3 else (said_ground,)
    return image, said, alone


def gradient(top: Color, bottom: Color, width: int, height: int) -> Image.Image:
    """A vertical gradient between two colors."""
    ramp = np.linspace(0, 1, height)[:, None, None]
    rows = np.asarray(top) * (1 - ramp) + np.asarray(bottom) * ramp
    return Image.fromarray(np.broadcast_to(rows, (height, width, 3)).round().astype(np.uint8))


def shaken(rng: random.Random, color: Color, amount: int = 14) -> Color:
    """The color, a little off."""
    r, g, b = (min(255, max(0, value + rng.randint(-amount, amount))) for value in color)
    return r, g, b


def draw_outdoors(rng: random.Random, size: int, sky: str, ground: str, hills: bool) -> Image.Image:
    top, low, _ = SKIES[sky]
    near, far, _ = GROUNDS[ground]
    image = gradient(shaken(rng, top), shaken(rng, low), size, size)
    draw = ImageDraw.Draw(image)
    horizon = round(size * rng.uniform(0.5, 0.72))
    _heavens(rng, draw, sky, size, horizon)
    dark = {"day": 1.0, "sunset": 0.72, "night": 0.42, "storm": 0.75}[sky]
    if hills:
        _hills(rng, draw, size, horizon, dark)
    if ground == "city":
        _skyline(rng, draw, size, horizon, dark)
    shades = [shaken(rng, _dim(color, dark), 8) for color in (near, far)]
    image.paste(gradient(shades[0], shades[1], size, size - horizon), (0, horizon))
    return image


def _heavens(rng: random.Random, draw: ImageDraw.ImageDraw, sky: str, size: int, horizon: int) -> None:
    x, y, r = (
        rng.randint(size // 8, 7 * size // 8),
        rng.randint(size // 10, horizon // 2),
        size // rng.randint(10, 16),
    )
    if sky == "night":
        _stars(rng, draw, size, horizon, 30)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(244, 240, 214))
    elif sky == "sunset":
        y = horizon - rng.randint(0, r)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 222, 120))
    elif sky == "day" and rng.random() < 0.5:
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 240, 160))
    if sky in ("day", "storm"):
        shade = (250, 252, 255) if sky == "day" else (108, 114, 124)
        for _ in range(rng.randint(1, 3)):
            _cloud(rng, draw, size, horizon, shade)


def _cloud(rng: random.Random, draw: ImageDraw.ImageDraw, size: int, horizon: int, shade: Color) -> None:
    x, y = rng.randint(0, size), rng.randint(size // 12, max(size // 6, horizon // 2))
    for _ in range(4):
        dx, dy, r = (
            rng.randint(-size // 8, size // 8),
            rng.randint(-size // 40, size // 40),
            rng.randint(size // 24, size // 14),
        )
        draw.ellipse((x + dx - r, y + dy - r // 2, x + dx + r, y + dy + r // 2), fill=shade)


def _hills(rng: random.Random, draw: ImageDraw.ImageDraw, size: int, horizon: int, dark: float) -> None:
    for _ in range(rng.randint(2, 4)):
        x, high, wide = (
            rng.randint(0, size),
            rng.randint(size // 7, size // 3),
            rng.randint(size // 5, size // 2),
        )
        shade = shaken(rng, _dim((112, 122, 146), dark))
        draw.polygon([(x - wide, horizon), (x, horizon - high), (x + wide, horizon)], fill=shade)
        if rng.random() < 0.6:
            cap = (
                (x - wide // 5, horizon - high * 4 // 5),
                (x, horizon - high),
                (x + wide // 5, horizon - high * 4 // 5),
            )
            draw.polygon(cap, fill=_dim((248, 250, 255), max(dark, 0.6)))


def _skyline(rng: random.Random, draw: ImageDraw.ImageDraw, size: int, horizon: int, dark: float) -> None:
    x = -rng.randint(0, 8)
    while x < size:
        wide, high = rng.randint(size // 12, size // 6), rng.randint(size // 6, size // 2)
        draw.rectangle((x, horizon - high, x + wide, horizon), fill=shaken(rng, _dim((98, 104, 122), dark)))
        lit = (255, 226, 130) if dark < 0.9 else (190, 206, 224)
        for wx in range(x + 3, x + wide - 3, 6):
            for wy in range(horizon - high + 4, horizon - 4, 8):
                if rng.random() < 0.55:
                    draw.rectangle((wx, wy, wx + 2, wy + 3), fill=lit)
        x += wide + rng.randint(0, 4)


def draw_moon(rng: random.Random, size: int) -> Image.Image:
    image = draw_space(rng, size)
    draw = ImageDraw.Draw(image)
    horizon = round(size * rng.uniform(0.55, 0.75))
    draw.ellipse((-size // 2, horizon, size + size // 2, horizon + size), fill=shaken(rng, (188, 188, 192)))
    for _ in range(rng.randint(4, 8)):
        x, y, r = (
            rng.randint(0, size),
            rng.randint(horizon + size // 12, size),
            rng.randint(size // 30, size // 10),
        )
        draw.ellipse((x - r, y - r // 3, x + r, y + r // 3), fill=shaken(rng, (150, 150, 156)))
    return image


def draw_space(rng: random.Random, size: int) -> Image.Image:
    image = gradient(shaken(rng, (10, 8, 30)), shaken(rng, (34, 16, 58)), size, size)
    draw = ImageDraw.Draw(image)
    _stars(rng, draw, size, size, 50)
    if rng.random() < 0.4:
        x, y, r = rng.randint(0, size), rng.randint(0, size // 2), rng.randint(size // 14, size // 7)
        draw.ellipse(
            (x - r, y - r, x + r, y + r),
            fill=shaken(rng, rng.choice([(80, 130, 220), (210, 120, 80), (200, 180, 120)])),
        )
    return image


def _stars(rng: random.Random, draw: ImageDraw.ImageDraw, width: int, height: int, count: int) -> None:
    for _ in range(count):
        x, y = rng.randint(0, width), rng.randint(0, height)
        draw.rectangle((x, y, x + rng.randint(0, 1), y + rng.randint(0, 1)), fill=(236, 238, 255))


def _dim(color: Color, factor: float) -> Color:
    r, g, b = (round(value * factor) for value in color)
    return r, g, b


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
