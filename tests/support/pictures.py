"""A small imagefolder such as `mezzotint data emoji` writes, drawn here: no npm, no network."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageDraw

COLORS = {
    "red ball": "red",
    "green leaf": "green",
    "blue drop": "blue",
    "golden star": "gold",
    "gray stone": "gray",
}


def make_pictures(folder: Path) -> Path:
    """Five objects in three styles; one pair held out."""
    rows = []
    for name, color in COLORS.items():
        for style, inset in (("noto", 20), ("twemoji", 34), ("fluent-3d", 48)):
            image = Image.new("RGBA", (128, 128))
            ImageDraw.Draw(image).ellipse((inset, inset, 128 - inset, 128 - inset), fill=color)
            file = f"{style}/{name.replace(' ', '-')}.png"
            (folder / style).mkdir(parents=True, exist_ok=True)
            image.save(folder / file)
            held = (name, style) == ("blue drop", "noto")
            rows.append(
                {"file_name": file, "object": name, "style": style, "group": "objects", "aliases": [name.split()[1]],
                 "tags": [color, "round", "thing"], "captions": [name], "split": "test" if held else "train"}
            )  # fmt: skip
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    split = {"seed": 0, "share": 0.04, "held_out_style": "fxemoji", "held_out_pairs": [["blue drop", "noto"]]}
    (folder / "split.json").write_text(json.dumps(split))
    return folder
