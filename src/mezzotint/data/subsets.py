"""Named parts of the emoji set: what an unconditional model is trained on, and what it is fine-tuned to."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from PIL import Image

from mezzotint.data.places import Color, gradient
from mezzotint.data.words import ORDINARY
from mezzotint.errors import DataError, nearest

Row = dict[str, Any]
KEYS = ("file_name", "object", "style", "split")
"""Of each row of the emoji set."""
# The group of smileys also holds hearts, speech balloons, cats and apes.
_NO_FACES = ("cat", "monkey", "heart", "poo", "letter", "kiss mark", "points", "symbol", "cloud", "balloon",
             "bubble", "bones", "collision", "dizzy", "droplets", "dashing", "hole", "zzz")  # fmt: skip
_FACES = ("star-struck", "exploding head", "skull", "ogre", "goblin", "ghost", "alien", "robot")
_PLANTS = ("flower", "plant", "tree", "leaf", "leaves", "herb", "mushroom", "rose", "tulip", "blossom", "cactus",
           "bouquet", "wheat", "clover", "hibiscus", "sunflower", "hyacinth", "lotus", "rosette", "nest", "paw",
           "web", "shell", "rock", "wood", "palm", "seedling", "evergreen")  # fmt: skip
_INSECTS = ("bug", "butterfly", "ant", "honeybee", "beetle", "lady beetle", "cricket", "cockroach", "mosquito",
            "fly", "scorpion", "spider")  # fmt: skip


def is_face(name: str) -> bool:
    """Whether an object of this name is a face, of whomever."""
    return "face" in name or any(word in name for word in _FACES)


def _face(row: Row) -> bool:
    return row["group"] == "smileys-emotion" and ("face" in row["object"] or not _names(row, _NO_FACES))


def _animal(row: Row) -> bool:
    return row["group"] == "animals-nature" and not _names(row, _PLANTS)


def _names(row: Row, words: tuple[str, ...]) -> bool:
    return any(word in row["object"] for word in words)


SUBSETS: dict[str, Callable[[Row], bool]] = {
    "faces": _face,
    "animals": _animal,
    "insects": lambda row: row["object"] in _INSECTS,
    "ordinary": lambda row: row["object"] in ORDINARY,
    "all": lambda row: True,
}


def pictures(folder: Path, subset: str, size: int, split: str = "train") -> list[Image.Image]:
    """The RGBA pictures of a part of the set, `size` pixels a side. DataError where there are none."""
    return [read(folder / row["file_name"], size) for row in choose(folder, subset, split)]


def choose(folder: Path, subset: str, split: str = "train", style: str = "") -> list[Row]:
    """The rows of a part of the set, of all styles or one. DataError where there are none."""
    if subset not in SUBSETS:
        raise DataError(
            f"no part of the set is called {subset!r}; known: {', '.join(SUBSETS)}{nearest(subset, SUBSETS)}"
        )
    rows = read_rows(folder, ("file_name", "object", "group"))
    of_split = [row for row in rows if split in ("all", row.get("split"))]
    styles = sorted({str(row.get("style")) for row in of_split})
    if style and style not in styles:
        known = f"; its styles there are {', '.join(styles)}{nearest(style, styles)}" if styles else ""
        raise DataError(f"{folder} has no {style!r} in its {split} split{known}")
    chosen = [row for row in of_split if style in ("", row.get("style")) and SUBSETS[subset](row)]
    if not chosen:
        raise DataError(f"{folder} has no pictures of {subset} in its {split} split")
    return chosen


def read_rows(folder: Path, keys: Collection[str] = KEYS) -> list[Row]:
    """All rows of a set, each with these keys. DataError where it is not there, or another one."""
    path = folder / "metadata.jsonl"
    if not path.exists():
        raise DataError(f"no pictures in {folder}: make them with `mezzotint data emoji {folder}`")
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    if not rows or not all(isinstance(row, dict) and row.keys() >= set(keys) for row in rows):
        wanted = " and ".join(keys)
        raise DataError(f"{folder} is not a set of `mezzotint data emoji`: its rows name no {wanted}")
    return rows


def read(path: Path, size: int) -> Image.Image:
    """One picture, RGBA, `size` pixels a side. DataError where it is missing or damaged."""
    try:
        with Image.open(path) as image:
            return image.convert("RGBA").resize((size, size), Image.Resampling.LANCZOS)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def portrait(picture: Image.Image, rng: random.Random) -> Image.Image:
    """RGB: a picture with transparency, now and then mirrored, somewhat moved, before a soft backdrop of any color."""
    size = picture.width
    side = round(size * rng.uniform(0.78, 0.96))
    shown = picture.resize((side, side), Image.Resampling.LANCZOS)
    if rng.random() < 0.5:
        shown = shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    backdrop = (
        gradient(_shade(rng), _shade(rng), size, size) if rng.random() < 0.5 else _plain(_shade(rng), size)
    )
    slack = size - side
    backdrop.paste(shown, (rng.randint(0, slack), rng.randint(0, slack)), shown)
    return backdrop


def _shade(rng: random.Random) -> Color:
    return rng.randint(0, 255), rng.randint(0, 255), rng.randint(0, 255)


def _plain(color: Color, size: int) -> Image.Image:
    return Image.new("RGB", (size, size), color)
