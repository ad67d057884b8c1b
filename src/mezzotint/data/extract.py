"""A part of the emoji set as a plain folder of RGB pictures with their captions: what fine-tuning is given."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from PIL import Image

from mezzotint.data.pixel_art import NAME, WORDS, pixel_art
from mezzotint.data.subsets import Row, choose, portrait, read
from mezzotint.data.writing import choose_items, flatten_on_white, new_folder

Background = Literal["white", "portrait"]


def write_subset(
    source: Path,
    out: Path,
    subset: str = "all",
    *,
    size: int = 64,
    background: Background = "white",
    split: str = "train",
    style: str = "",
    count: int = 0,
    seed: int = 0,
    cells: int = 0,
) -> int:
    """Write PNGs and a `metadata.jsonl` into a new or empty folder; returns how many.

    `count`: so many of them, picked by the seed; 0: all. `portrait`: a backdrop drawn by seed and name. `cells`: as pixel
    art of so many squares a side, and its captions say so; 0: as they are. The folder is whole or not there. DataError
    where nothing is chosen, OutputError where it cannot be written.
    """
    rows = choose_items(choose(source, subset, split, style), count, f"subset {seed}", "pictures")
    with new_folder(out) as part:
        _write(rows, source, part, size, background, seed, cells)
    return len(rows)


def _write(
    rows: Sequence[Row], source: Path, folder: Path, size: int, background: str, seed: int, cells: int
) -> None:
    with (folder / "metadata.jsonl").open("w", encoding="utf-8") as file:
        for row in rows:
            name = row["file_name"].replace("/", "-")
            picture = _lay_on_background(read(source / row["file_name"], size), background, f"{seed} {name}")
            if cells:
                picture = pixel_art(picture, cells)
                row = row | {"style": NAME, "captions": [f"{row['object']}, {WORDS[0]}"]}
            picture.save(folder / name)
            kept = {
                key: row[key] for key in ("object", "style", "captions", "license", "source") if key in row
            }
            file.write(json.dumps({"file_name": name, **kept}, ensure_ascii=False) + "\n")


def _lay_on_background(picture: Image.Image, background: str, seed: str) -> Image.Image:
    if background == "portrait":
        return portrait(picture, random.Random(seed))
    return flatten_on_white(picture)
