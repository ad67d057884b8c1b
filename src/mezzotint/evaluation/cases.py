"""The fixed list of prompts, and whether a picture is what was asked: by the judge, or by the color of its border."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.data.scenes import PALETTE
from mezzotint.data.words import ORDINARY, article_of, plural
from mezzotint.models.image_text import ImageText

SEED = 1689
FREE: dict[str, tuple[str, ...]] = {
    "a kitten": ("cat", "cat face", "black cat", "grinning cat", "smiling cat with heart-eyes"),
    "an automobile": ("automobile", "oncoming automobile", "sport utility vehicle", "racing car", "taxi"),
    "a puppy": ("dog", "dog face", "poodle", "guide dog"),
    "a sunset above the sea": ("sunrise", "sunset", "sunrise over mountains", "cityscape at dusk"),
    "a spaceship": ("rocket", "flying saucer", "satellite"),
    "a bunny": ("rabbit", "rabbit face"),
    "a fast sports car": ("racing car", "automobile", "sport utility vehicle", "oncoming automobile"),
    "an ocean liner": ("ship", "passenger ship", "ferry", "motor boat", "sailboat"),
    "a steam train": ("locomotive", "train", "railway car", "station"),
    "a cup of coffee": ("hot beverage", "teacup without handle", "teapot"),
    "a slice of cake": ("shortcake", "birthday cake", "pie", "cupcake"),
    "a diamond": ("gem stone", "diamond with a dot", "large blue diamond", "small blue diamond"),
    "a spooky ghost": ("ghost", "skull", "alien monster", "jack-o-lantern"),
    "an android": ("robot", "alien monster"),
    "a ladybug": ("lady beetle", "beetle", "bug"),
    "a fortress": ("castle", "Japanese castle", "japanese castle"),
    "a bouquet of flowers": ("bouquet", "rose", "tulip", "hibiscus", "cherry blossom", "sunflower", "hyacinth"),
    "a smiling face": ("grinning face", "smiling face", "slightly smiling face", "grinning face with big eyes"),
    "an angry face": ("angry face", "enraged face", "pouting face", "face with symbols on mouth"),
    "the planet earth": ("globe showing Europe-Africa", "globe showing europe-africa", "globe showing americas",
                         "globe showing asia-australia", "globe with meridians", "world map"),
    "a burger": ("hamburger", "sandwich"),
    "a christmas tree": ("Christmas tree", "christmas tree", "evergreen tree"),
    "a piano": ("musical keyboard",),
    "a wristwatch": ("watch", "stopwatch", "alarm clock"),
}  # fmt: skip
PLACES = {
    "on the moon": "the surface of the moon", "in space": "outer space full of stars", "in the snow": "snow",
    "on the grass": "a green meadow", "in the desert": "the desert", "on the ocean": "the sea",
    "at night": "a starry night", "at sunset": "a sunset",
}  # fmt: skip
NUMBERS = ("one", "two", "three", "four")
FAMILIAR = (
    "cat", "dog", "rose", "racing car", "rocket", "butterfly", "castle", "pizza", "owl", "red apple", "banana", "house",
    "sailboat", "guitar", "snowman", "robot", "tiger", "mushroom", "crown", "umbrella", "airplane", "turtle", "cactus", "key",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A prompt and what makes its picture right: `wanted` among `choices`, by the judge or by the border's color."""

    kind: str
    prompt: str
    wanted: tuple[str, ...]
    choices: tuple[str, ...] = field(default=(), repr=False)  # empty: all objects
    object: str = ""
    style: str = ""


def cases(
    objects: Sequence[str], held: Sequence[tuple[str, str]], words: dict[str, str], count: int
) -> list[Case]:
    """`count` seen objects, as many held-out pairs, the compositions, and ordinary things: always the same for the same
    count."""
    rng = random.Random(SEED)
    held_objects = {name for name, _ in held}
    seen = rng.sample(sorted(set(objects) - held_objects), min(count, len(objects)))
    found = [Case("seen", article_of(name), (name,), object=name) for name in seen]
    for name, style in rng.sample(sorted(held), min(count, len(held))):
        found.append(
            Case("held-out", f"{article_of(name)}, {words[style]} style", (name,), object=name, style=style)
        )
    familiar = [name for name in FAMILIAR if name in objects]
    for index, color in enumerate([*PALETTE] * 3):
        name = familiar[index % len(familiar)]
        found.append(
            Case("color", f"{article_of(name)} on a {color} background", (color,), tuple(PALETTE), name)
        )
    for index, name in enumerate(familiar):
        number = NUMBERS[1 + index % 3]
        choices = tuple(f"{n} {name if n == 'one' else plural(name)}" for n in NUMBERS)
        found.append(
            Case("count", f"{number} {plural(name)}", (choices[NUMBERS.index(number)],), choices, name)
        )
    for first, second in zip(familiar, familiar[5:] + familiar[:5], strict=True):
        found.append(
            Case(
                "two objects", f"{article_of(first)} and {article_of(second)}", (first, second), object=first
            )
        )
    for index, name in enumerate(familiar):
        place = list(PLACES)[index % len(PLACES)]
        choices = tuple(f"{article_of(name)} {where}" for where in PLACES)
        found.append(
            Case("place", f"{article_of(name)} {place}", (f"{article_of(name)} {place}",), choices, name)
        )
    found += [Case("free wording", prompt, wanted) for prompt, wanted in FREE.items()]
    return found + [
        Case("ordinary", article_of(name), (name,), object=name) for name in ORDINARY if name in objects
    ]


Floats = NDArray[np.float64]


def right(case: Case, image: Image.Image, judge: ImageText, objects: Sequence[str], top: int = 5) -> bool:
    """Whether the picture is what was asked: the first choice, or among the top of all objects."""
    if case.kind == "color":
        return border_color(image) == case.wanted[0]
    ranked = judge.rank(image, case.choices or objects)
    if case.choices:
        return ranked[0] in case.wanted
    if case.kind == "two objects":
        return all(name in ranked[: 2 * top] for name in case.wanted)
    return any(name in ranked[:top] for name in case.wanted)


def border_color(image: Image.Image, width: float = 0.05) -> str:
    """The name of the palette's color nearest to the median of the border, in CIELAB."""
    pixels = np.asarray(image.convert("RGB"), np.float64)
    edge = max(1, round(width * pixels.shape[0]))
    sides = [pixels[:edge], pixels[-edge:], pixels[:, :edge], pixels[:, -edge:]]
    median = np.median(np.concatenate([side.reshape(-1, 3) for side in sides]), 0)
    names = list(PALETTE)
    distances = np.linalg.norm(lab(np.array([PALETTE[name] for name in names])) - lab(median[None]), axis=1)
    return names[int(distances.argmin())]


def lab(rgb: Floats) -> Floats:
    """CIELAB (n, 3) of sRGB (n, 3) in 0..255, white D65."""
    c = np.asarray(rgb, np.float64) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)
