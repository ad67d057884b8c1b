"""Canonical scenes: one place, one style that goes unsaid, exact backgrounds; the caption says all that differs.

A network of this size learns the mean of what a caption leaves open. So a thing alone always has the same box, two,
three and four have boxes on the latent grid, a background is an exact color or a fixed frame, and other styles are named.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from PIL import Image

from mezzotint.data.emoji import HELD_OUT_STYLE, SIZE, STYLES
from mezzotint.data.places import FRAMES, GROUNDS, MOON, SCENERY, SKIES, SKY_NAMES, SPACE, draw_frame
from mezzotint.data.subsets import Row, read_rows
from mezzotint.data.words import SYNONYMS, article_of, plural
from mezzotint.errors import DataError
from mezzotint.models.known_words import KnownWords

Kind = Literal["plain", "styled", "color", "place", "scenery", "count", "pair"]
Color = tuple[int, int, int]
STYLE = "fluent-3d"
"""The style of an object whose caption names none; where it is held out, the next that the object has in `STYLES`."""
PALETTE: dict[str, Color] = {
    "red": (214, 40, 40), "orange": (244, 140, 36), "yellow": (250, 214, 60), "green": (56, 150, 72),
    "blue": (44, 96, 206), "purple": (130, 60, 170), "pink": (248, 150, 184), "brown": (128, 84, 52),
    "black": (16, 16, 18), "white": (255, 255, 255), "gray": (140, 142, 146), "teal": (24, 140, 140),
    "sky blue": (140, 204, 246), "dark blue": (16, 28, 92), "lime green": (160, 220, 60), "beige": (238, 222, 190),
}  # fmt: skip
Box = tuple[int, int, int]
"""Left, top and side in pixels of a canvas of 128; all are multiples of 8, the side of a latent's cell."""
WHOLE: tuple[Box, ...] = ((8, 8, 112),)
BOXES: dict[int, tuple[Box, ...]] = {
    2: ((0, 32, 64), (64, 32, 64)),
    3: ((32, 0, 64), (0, 64, 64), (64, 64, 64)),
    4: ((0, 0, 64), (64, 0, 64), (0, 64, 64), (64, 64, 64)),
}
NUMBERS = {2: "two", 3: "three", 4: "four"}
ALIAS_SHARE = 0.2
"""Of captions, at most so many call the object by another of its names."""
HELD_OUT_SHARE = 0.1
"""Of combinations (object and ground, or two objects), so many are never trained on."""


@dataclass(frozen=True)
class CanonicalScene:
    """What a picture holds and how it is called; `sprites` are rows of the set, one for each box."""

    caption: str
    sprites: tuple[int, ...]
    boxes: tuple[Box, ...]
    ground: str


def is_held_out(*names: str) -> bool:
    """Whether a combination is kept out of training: the same on every machine, for ever."""
    digest = hashlib.sha256("\0".join(("held out", *sorted(names))).encode()).digest()
    return int.from_bytes(digest[:4], "little") < HELD_OUT_SHARE * 2**32


class CanonicalComposer:
    """Scenes from a folder that `mezzotint data emoji` wrote.

    `names`: the objects to draw, by default all; `partners`: what stands beside them in pairs, by default the same.
    DataError where one is missing.
    """

    def __init__(self, folder: Path, names: Sequence[str] = ()):
        self.folder = folder
        self.rows: list[Row] = [row for row in read_rows(folder) if row["split"] == "train"]
        self.by_name: dict[str, dict[str, int]] = {}
        for index, row in enumerate(self.rows):
            self.by_name.setdefault(row["object"], {})[row["style"]] = index
        if missing := [name for name in names if name not in self.by_name]:
            raise DataError(f"{folder} has no {missing[0]!r} to train on")
        self.names = list(names) or sorted(self.by_name)
        self.partners = self.names
        self._aliases = self._unambiguous()
        self._sprite = lru_cache(maxsize=4096)(self._load)

    def scene(self, kind: Kind, name: str, rng: random.Random, variety: int = 0) -> CanonicalScene:
        """A scene of a kind with an object in it.

        `variety`: how many grounds, partners or styles the object meets; 0: all there are.
        """
        composers: dict[str, Callable[[str, random.Random, int], CanonicalScene]] = {
            "plain": self._plain, "styled": self._with_style, "color": self._color, "place": self._place,
            "scenery": self._scenery, "count": self._count, "pair": self._pair,
        }  # fmt: skip
        return composers[kind](name, rng, variety)

    def usual(self, name: str) -> int:
        """The sprite of an object whose caption names no style."""
        styles = self.by_name[name]
        return styles[next(style for style in STYLES if style in styles)]

    def render(self, scene: CanonicalScene) -> Image.Image:
        """The picture (SIZE, SIZE), RGB."""
        color = PALETTE.get(scene.ground)
        canvas = Image.new("RGB", (SIZE, SIZE), color) if color else draw_frame(scene.ground, SIZE)
        for sprite, (left, top, side) in zip(scene.sprites, scene.boxes, strict=True):
            picture = self._sprite(sprite, side)
            canvas.paste(picture, (left, top), picture)
        return canvas

    def content(self, scene: CanonicalScene) -> str:
        """What the pixels are a function of, as text."""
        files = [self.rows[index]["file_name"] for index in scene.sprites]
        return f"{scene.ground} {list(zip(files, scene.boxes, strict=True))}"

    def _plain(self, name: str, rng: random.Random, variety: int) -> CanonicalScene:
        return self._single(self.usual(name), self._with_article(name, rng), "white")

    def _with_style(self, name: str, rng: random.Random, variety: int) -> CanonicalScene:
        others = [style for style in STYLES if style != STYLE and style in self.by_name[name]]
        if not others:
            return self._plain(name, rng, variety)
        style = rng.choice(_part(others, name, variety))
        caption = f"{self._with_article(name, rng)}, {STYLES[style].words[0]} style"
        return self._single(self.by_name[name][style], caption, "white")

    def _color(self, name: str, rng: random.Random, variety: int) -> CanonicalScene:
        color = rng.choice(_part([c for c in PALETTE if not is_held_out(name, c)], name, variety))
        return self._single(
            self.usual(name), f"{self._with_article(name, rng)} on a {color} background", color
        )

    def _place(self, name: str, rng: random.Random, variety: int) -> CanonicalScene:
        frame = rng.choice(_part([f for f in FRAMES if not is_held_out(name, f)], name, variety))
        return self._single(
            self.usual(name), f"{self._with_article(name, rng)} {rng.choice(FRAMES[frame].where)}", frame
        )

    def _scenery(self, name: str, rng: random.Random, variety: int) -> CanonicalScene:
        frame = rng.choice(list(FRAMES))
        return CanonicalScene(rng.choice(FRAMES[frame].alone), (), (), frame)

    def _count(self, name: str, rng: random.Random, variety: int) -> CanonicalScene:
        count = rng.choice(list(NUMBERS))
        sprites = (self.usual(name),) * count
        return CanonicalScene(f"{NUMBERS[count]} {plural(name)}", sprites, BOXES[count], "white")

    def _pair(self, name: str, rng: random.Random, variety: int) -> CanonicalScene:
        partners = _part([n for n in self.partners if n != name and not is_held_out(name, n)], name, variety)
        both = [name, rng.choice(partners)]
        rng.shuffle(both)
        caption = " and ".join(article_of(one) for one in both)
        return CanonicalScene(caption, tuple(self.usual(one) for one in both), BOXES[2], "white")

    def _single(self, sprite: int, caption: str, ground: str) -> CanonicalScene:
        return CanonicalScene(caption, (sprite,), WHOLE, ground)

    def _with_article(self, name: str, rng: random.Random) -> str:
        """The object with its article, now and then by another of its names."""
        aliases = self._aliases[name]
        return article_of(rng.choice(aliases) if aliases and rng.random() < ALIAS_SHARE else name)

    def _unambiguous(self) -> dict[str, list[str]]:
        """Other names of each object that are names of no other object."""
        aliases = {name: set(self.rows[self.usual(name)]["aliases"]) - {name} for name in self.by_name}
        counts = Counter(alias.lower() for names in aliases.values() for alias in names)
        taken = {name.lower() for name in self.by_name}
        return {
            name: sorted(a for a in names if counts[a.lower()] == 1 and a.lower() not in taken)
            for name, names in aliases.items()
        }

    def _load(self, index: int, side: int) -> Image.Image:
        try:
            with Image.open(self.folder / self.rows[index]["file_name"]) as image:
                return image.convert("RGBA").resize((side, side), Image.Resampling.LANCZOS)
        except OSError as error:
            raise DataError(
                f"{self.folder / self.rows[index]['file_name']} cannot be read: {error}"
            ) from None


def _part(options: list[str], name: str, variety: int) -> list[str]:
    """Some of the options, chosen by the object's name alone."""
    return random.Random(name).sample(options, variety) if 0 < variety < len(options) else options


def known_words(rows: Sequence[Row], objects: Sequence[str]) -> KnownWords:
    """Of a model that learned to draw `objects` of the emoji set; `rows`: what it learned from."""
    names: dict[str, set[str]] = {name: set(SYNONYMS.get(name, ())) for name in sorted(objects)}
    tags = set(NUMBERS.values())
    for row in rows:
        if row["object"] in names:
            names[row["object"]].update(row["aliases"])
            tags.update(row["tags"])
    phrases = [said for _, _, said in (*SKIES.values(), *GROUNDS.values())]
    for freer in (*phrases, *SCENERY.values(), *SKY_NAMES.values(), MOON, SPACE):
        tags.update(freer)
    places = [place for frame in FRAMES.values() for place in (*frame.where, *frame.alone)]
    return KnownWords(
        objects={name: tuple(sorted(others - {name})) for name, others in names.items()},
        tags=tuple(sorted(tags)),
        styles=tuple(
            word for name, style in STYLES.items() if name != HELD_OUT_STYLE for word in style.words
        ),
        colors=tuple(PALETTE),
        places=tuple(dict.fromkeys(places)),
    )
