"""The blind sheet: numbered pictures for a reader who knows neither prompts nor list, and the score of the answers."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from mezzotint.data.subsets import Row, read_rows
from mezzotint.data.words import ORDINARY, SYNONYMS, article_of
from mezzotint.errors import DataError
from mezzotint.evaluation.nearest import center_on_white

COUNT = 32
"""Of ordinary things, and of others drawn at random."""
SEED = 1889
ACROSS, SIDE, HEAD = 8, 160, 18
SHEET, KEY = "blind.png", "key.json"
_KEYS = ("file_name", "object", "split", "aliases", "tags")
_FILLER = {"a", "an", "the", "of", "on", "in", "with", "and", "some", "picture", "icon", "emoji", "drawing"}


@dataclass(frozen=True)
class BlindItem:
    """A picture's object, its kind (`ordinary` or `any`), its prompt and every name that counts as right."""

    object: str
    kind: str
    prompt: str
    names: tuple[str, ...]
    file: str


def choose_items(data: Path, seed: int = SEED, real: bool = False) -> list[BlindItem]:
    """The same items for the same folder and seed, shuffled.

    `real`: in an order of its own, so that one sheet does not give away the other.
    """
    rng = random.Random(seed)
    rows = {row["object"]: row for row in reversed(read_rows(data, _KEYS)) if row["split"] == "train"}
    known = [name for name in ORDINARY if name in rows]
    rest = sorted(rows.keys() - set(known))
    items = [_item(rows[name], "ordinary") for name in rng.sample(known, min(COUNT, len(known)))]
    items += [_item(rows[name], "any") for name in rng.sample(rest, min(COUNT, len(rest)))]
    (random.Random(f"{seed} real") if real else rng).shuffle(items)
    return items


def write_sheet(folder: Path, items: Sequence[BlindItem], pictures: Sequence[Image.Image]) -> None:
    """`blind.png` for the reader, and `key.json`, which the reader must not see."""
    folder.mkdir(parents=True, exist_ok=True)
    down = -(-len(items) // ACROSS)
    sheet = Image.new("RGB", (ACROSS * SIDE, down * (SIDE + HEAD)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, ACROSS)
        x, y = column * SIDE, row * (SIDE + HEAD)
        pen.text((x + 4, y + 3), str(number + 1), fill="black")
        sheet.paste(
            picture.convert("RGB").resize((SIDE - 8, SIDE - 8), Image.Resampling.LANCZOS), (x + 4, y + HEAD)
        )
    sheet.save(folder / SHEET)
    key = {
        str(i + 1): {"object": item.object, "kind": item.kind, "names": item.names}
        for i, item in enumerate(items)
    }
    (folder / KEY).write_text(json.dumps(key, indent=1, ensure_ascii=False))


def real_pictures(data: Path, items: Sequence[BlindItem]) -> list[Image.Image]:
    """The real picture of each item."""
    return [center_on_white(data / item.file) for item in items]


def score_answers(key: Path, answers: Path) -> dict[str, float]:
    """The share right by kind, of a text with a line `NUMBER: NAME` for each picture. DataError where it is none."""
    try:
        wanted = json.loads(key.read_text())
        lines = answers.read_text().splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the answers or their key: {error}") from None
    given = {found[1]: found[2] for line in lines if (found := re.match(r"\s*(\d+)\s*[:.)]\s*(.*)", line))}
    if not given:
        raise DataError(f"{answers} has no line such as `1: a cat`")
    by_kind: dict[str, list[bool]] = {}
    for number, item in wanted.items():
        by_kind.setdefault(item["kind"], []).append(is_right(given.get(number, ""), item["names"]))
    return {kind: sum(verdicts) / len(verdicts) for kind, verdicts in by_kind.items()}


def is_right(answer: str, names: Sequence[str]) -> bool:
    """Whether an answer is one of the names: all words of the name are in it, or all of its words are in the name."""
    said = _words(answer)
    return bool(said) and any(said <= _words(name) or _words(name) <= said for name in names if _words(name))


def _item(row: Row, kind: str) -> BlindItem:
    name = row["object"]
    names = (name, *row["aliases"], *row["tags"], *SYNONYMS.get(name, ()))
    return BlindItem(name, kind, article_of(name), tuple(dict.fromkeys(names)), row["file_name"])


def _words(text: str) -> set[str]:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {word.removesuffix("s") if len(word) > 3 else word for word in words} - _FILLER
