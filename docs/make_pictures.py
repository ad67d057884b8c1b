"""Draws the pictures of the tutorial again, with the commands that its pages print: python docs/make_pictures.py [PAGE ...]."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from blocks import PAGES, Shown, files, run, shown
from PIL import Image

from mezzotint.pages.tiles import make_grid

WIDEST = 1000  # pixels


def picture(one: Shown, folder: Path) -> Image.Image:
    """One file as it is, or several side by side."""
    found = files(one.glob, folder)
    if not found:
        raise SystemExit(f"{one.path.name}: no file is called {one.glob}")
    images = [Image.open(path).convert("RGB") for path in found]
    drawn = images[0] if len(images) == 1 else make_grid(images, gap=2)
    drawn.thumbnail((WIDEST, 4 * WIDEST), Image.Resampling.LANCZOS)
    return drawn


def main(names: list[str]) -> None:
    for page in PAGES:
        if (names and page.stem not in names) or not shown(page):
            continue
        with tempfile.TemporaryDirectory() as folder:
            run(page, Path(folder))
            for one in shown(page):
                one.path.parent.mkdir(exist_ok=True)
                picture(one, Path(folder)).save(one.path, quality=88, method=6)
                print(one.path, one.path.stat().st_size >> 10, "KB")


if __name__ == "__main__":
    main(sys.argv[1:])
