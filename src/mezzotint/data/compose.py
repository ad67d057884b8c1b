"""Scenes without end from single objects: count, color, place, style, side by side; each with its caption."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.data.emoji import SIZE, STYLES
from mezzotint.data.places import Color, gradient, landscape, shaken
from mezzotint.data.scenes import PALETTE
from mezzotint.data.subsets import read_rows
from mezzotint.data.words import ORDINARY, SYNONYMS, article_of, plural
from mezzotint.errors import DataError

TINTS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "gray")
COUNTS = {2: ("two", "a pair of"), 3: ("three",), 4: ("four",)}
OPENINGS = (
    "",
    "",
    "",
    "",
    "a picture of ",
    "an icon of ",
    "an emoji of ",
    "a drawing of ",
    "a beautiful ",
    "a cute ",
)
ALIKE = ("fluent-3d", "fluent-flat", "noto")
"""Styles that draw most objects in the same pose."""
FLIPPABLE = {"animals-nature", "food-drink", "travel-places", "people-body"}


@dataclass(frozen=True)
class Scene:
    """A composed picture (SIZE, SIZE) RGB, its caption, and what was put in it."""

    image: Image.Image
    caption: str
    objects: tuple[str, ...]
    styles: tuple[str, ...]
    kind: str


class Composer:
    """Draws scenes from an imagefolder written by `build`; the same random state gives the same scene.

    `ordinary`: the share of objects that are taken from `ORDINARY`; the rest are taken from all. `simple`: the share of
    scenes that are one such object and nothing else (`Composer.simple`).
    """

    def __init__(
        self, folder: Path, splits: tuple[str, ...] = ("train",), ordinary: float = 0.0, simple: float = 0.0
    ):
        self.rows = [row for row in read_rows(folder) if row["split"] in splits]
        self.folder = folder
        self.sprites = self._load()
        self.by_object: dict[str, list[int]] = {}
        for index, row in enumerate(self.rows):
            self.by_object.setdefault(row["object"], []).append(index)
        self.objects = sorted(self.by_object)
        self.ordinary, self.share = [name for name in ORDINARY if name in self.by_object], ordinary
        self.simple_share, self.alike = simple, self._alike()
        if simple and not self.alike:
            raise DataError(
                f"{folder} has no ordinary things in the styles {', '.join(ALIKE)}; leave out `simple`"
            )

    def _alike(self) -> list[list[int]]:
        """The sprites of each ordinary object in the styles that resemble each other."""
        found = (
            [i for i in self.by_object[name] if self.rows[i]["style"] in ALIKE] for name in self.ordinary
        )
        return [sprites for sprites in found if sprites]

    def _load(self) -> NDArray[np.uint8]:
        sprites = np.empty((len(self.rows), SIZE, SIZE, 4), np.uint8)
        for index, row in enumerate(self.rows):
            with Image.open(self.folder / row["file_name"]) as image:
                sprites[index] = np.asarray(image)
        return sprites

    def scene(self, rng: random.Random) -> Scene:
        """One scene of a random kind: mostly a single object, sometimes several, sometimes only a place."""
        if self.simple_share and rng.random() < self.simple_share:
            return self.simple(rng)
        kind = rng.random()
        if kind < 0.05:
            image, _, alone = landscape(rng, SIZE)
            return Scene(image, rng.choice(OPENINGS) + alone, (), (), "place")
        if kind < 0.70:
            return self.single(rng)
        return self.pair(rng) if kind < 0.85 else self.several(rng)

    def single(self, rng: random.Random) -> Scene:
        """One object, before a color, a gradient or a place; sometimes tinted, small, or to one side."""
        index = self.pick(rng)
        ground, said = self.ground(rng)
        sprite, name = self.sprite(index, rng), self.name(index, rng)
        if rng.random() < 0.08:
            tint = rng.choice(TINTS)
            sprite, name = tint_sprite(sprite, shaken(rng, PALETTE[tint])), f"{tint} {name}"
        share, (x, y), where = rng.uniform(0.72, 0.95), (rng.uniform(0.42, 0.58), rng.uniform(0.44, 0.58)), ""
        if rng.random() < 0.12:
            share, (x, y), where = _aside(rng)
        paste(ground, sprite, share, x, y)
        caption = f"{self.opening(rng, name)}{self.add_style(index, rng, name)}{where}{said}"
        return self._scene_of(ground, caption, [index], "single")

    def simple(self, rng: random.Random) -> Scene:
        """One ordinary object of a few styles that resemble each other, large, in the middle and never mirrored."""
        index = rng.choice(rng.choice(self.alike))
        ground, said = self.ground(rng)
        name = self.name(index, rng)
        share, x, y = rng.uniform(0.82, 0.92), rng.uniform(0.47, 0.53), rng.uniform(0.48, 0.54)
        paste(ground, Image.fromarray(self.sprites[index]), share, x, y)
        caption = f"{self.opening(rng, name)}{self.add_style(index, rng, name)}{said}"
        return self._scene_of(ground, caption, [index], "simple")

    def pair(self, rng: random.Random) -> Scene:
        """Two different objects side by side, usually of one style."""
        left = self.pick(rng)
        right = self.pick(rng, self.rows[left]["style"] if rng.random() < 0.8 else None)
        ground, said = self.ground(rng)
        names = [self.name(index, rng) for index in (left, right)]
        share, y = rng.uniform(0.42, 0.5), rng.uniform(0.5, 0.62)
        paste(ground, self.sprite(left, rng), share, 0.27, y)
        paste(ground, self.sprite(right, rng), share, 0.73, y)
        joined = rng.choice(
            ("{} and {}", "{} and {}", "{} next to {}", "{} beside {}", "{} on the left and {} on the right")
        )
        caption = joined.format(article(names[0], rng), article(names[1], rng)) + said
        return self._scene_of(ground, caption, [left, right], "pair")

    def several(self, rng: random.Random) -> Scene:
        """The same object two, three or four times."""
        index, count = self.pick(rng), rng.choice((2, 3, 4))
        ground, said = self.ground(rng)
        sprite, name = self.sprite(index, rng), self.name(index, rng)
        spots = {2: [(0.27, 0.5), (0.73, 0.5)], 3: [(0.27, 0.72), (0.73, 0.72), (0.5, 0.27)],
                 4: [(0.27, 0.27), (0.73, 0.27), (0.27, 0.73), (0.73, 0.73)]}[count]  # fmt: skip
        if count == 3 and rng.random() < 0.5:
            spots = [(0.18, 0.5), (0.5, 0.5), (0.82, 0.5)]
        share = 0.3 if spots[0][0] < 0.2 else rng.uniform(0.4, 0.46)
        for x, y in spots:
            paste(ground, sprite, share, x + rng.uniform(-0.02, 0.02), y + rng.uniform(-0.02, 0.02))
        caption = f"{rng.choice(COUNTS[count])} {plural(name)}{said}"
        return self._scene_of(ground, caption, [index], "several")

    def pick(self, rng: random.Random, style: str | None = None) -> int:
        """A sprite: objects of a list equally likely, then one of its styles."""
        often = bool(self.share and self.ordinary) and rng.random() < self.share
        objects = self.ordinary if often else self.objects
        for _ in range(20):
            index = rng.choice(self.by_object[rng.choice(objects)])
            if style is None or self.rows[index]["style"] == style:
                return index
        return index

    def sprite(self, index: int, rng: random.Random) -> Image.Image:
        """The picture RGBA, mirrored half of the time where that does not change its meaning."""
        pixels = self.sprites[index]
        if self.rows[index]["group"] in FLIPPABLE and rng.random() < 0.5:
            pixels = pixels[:, ::-1]
        return Image.fromarray(np.ascontiguousarray(pixels))

    def name(self, index: int, rng: random.Random) -> str:
        """What the object is called: mostly its label, else an alias, a synonym or its tags."""
        row, roll = self.rows[index], rng.random()
        name: str = row["object"]
        if roll < 0.30:
            words = [*row["aliases"], *SYNONYMS.get(name, ())] or [name]
            return str(rng.choice(words))
        if roll < 0.40 and row["tags"]:
            return f"{name} {rng.choice(row['tags'])}"
        if roll < 0.46 and len(row["tags"]) > 2:
            return " ".join(rng.sample(row["tags"], 3))
        return name

    def add_style(self, index: int, rng: random.Random, name: str) -> str:
        """The name, with the style before or behind in a third of the captions."""
        if rng.random() > 0.35:
            return name
        word = rng.choice(STYLES[self.rows[index]["style"]].words)
        return rng.choice((f"{word} {name}", f"{name}, {word} style", f"{name} in {word} style"))

    def opening(self, rng: random.Random, name: str) -> str:
        """How the caption begins."""
        if rng.random() < 0.45:
            return "an " if name[0] in "aeiou" else "a "
        return rng.choice(OPENINGS)

    def ground(self, rng: random.Random) -> tuple[Image.Image, str]:
        """A background and the words for it; white is usually left unsaid."""
        roll = rng.random()
        if roll < 0.30:
            return Image.new("RGB", (SIZE, SIZE), (255, 255, 255)), rng.choice(
                ("", "", "", " on a white background")
            )
        if roll < 0.62:
            color = rng.choice(list(PALETTE))
            said = rng.choice(
                (" on a {} background", " on a {} background", ", {} background", " on {}")
            ).format(color)
            return Image.new("RGB", (SIZE, SIZE), shaken(rng, PALETTE[color], 8)), said
        if roll < 0.70:
            first, second = rng.sample(sorted(PALETTE), 2)
            image = gradient(PALETTE[first], PALETTE[second], SIZE, SIZE)
            return image, f" on a {first} and {second} gradient" if rng.random() < 0.9 else ""
        image, said_there, _ = landscape(rng, SIZE)
        return image, f" {said_there[0]}"

    def _scene_of(self, image: Image.Image, caption: str, indices: list[int], kind: str) -> Scene:
        rows = [self.rows[index] for index in indices]
        return Scene(image, caption, tuple(r["object"] for r in rows), tuple(r["style"] for r in rows), kind)


def paste(ground: Image.Image, sprite: Image.Image, share: float, x: float, y: float) -> None:
    """Put the sprite on the ground: `share` of its width, centered at (x, y) in fractions."""
    side = round(share * ground.width)
    small = sprite.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    ground.paste(small, (round(x * ground.width - side / 2), round(y * ground.height - side / 2)), small)


def tint_sprite(sprite: Image.Image, color: Color) -> Image.Image:
    """The sprite in shades of one color."""
    pixels = np.asarray(sprite).astype(np.float32)
    light = (pixels[..., :3] @ np.array([0.3, 0.59, 0.11], np.float32))[..., None] / 255
    base = np.array(color, np.float32)
    toned = np.where(light < 0.6, base * (light / 0.6), base + (255 - base) * (light - 0.6) / 0.55)
    return Image.fromarray(np.concatenate([toned.clip(0, 255), pixels[..., 3:]], -1).astype(np.uint8))


def article(name: str, rng: random.Random) -> str:
    """The name with `a` or `an`, or bare."""
    return name if rng.random() < 0.3 else article_of(name)


def _aside(rng: random.Random) -> tuple[float, tuple[float, float], str]:
    share = rng.uniform(0.3, 0.45)
    spots = {" on the left": (0.25, 0.5), " on the right": (0.75, 0.5), " at the top": (0.5, 0.25),
             " at the bottom": (0.5, 0.75), ", small,": (0.5, 0.5)}  # fmt: skip
    where = rng.choice(list(spots))
    return share, spots[where], where
