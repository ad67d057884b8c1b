"""Any icon set of the npm registry in Iconify's format, as a plain folder of RGB pictures with their captions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from PIL import Image

from mezzotint.data.emoji import check_tools, draw, fetch
from mezzotint.data.writing import check_new, choose_items, flatten_on_white, new_folder
from mezzotint.errors import DataError

Icon = Mapping[str, Any]


def write_icons(
    package: str,
    out: Path,
    cache: Path,
    *,
    style: str,
    version: str = "latest",
    without: Sequence[str] = (),
    size: int = 128,
    count: int = 0,
    seed: int = 0,
) -> int:
    """Write PNGs on white and a `metadata.jsonl` into a new or empty folder; returns how many.

    package: its name, such as `@iconify-json/noto`; `version` of it, `latest` or a number. `without`: patterns of names
    to leave out. `style`: what its captions call the set ("a castle, `style` style"). `count`: so many, picked by the
    seed; 0: all. DataError where it cannot be fetched, is no icon set, or has not so many.
    """
    check_new(out)
    check_tools([(package, version)], cache)
    unpacked = fetch(package, version, cache)
    icons, license_ = _icons(unpacked, package), _license(unpacked)
    chosen = choose_items(list_icons(icons, without), count, f"icons {seed}", "icons")
    with new_folder(out) as folder, (folder / "metadata.jsonl").open("w", encoding="utf-8") as file:
        for slug, name in chosen:
            icon = icons[slug]
            drawn = draw(icon["body"], icon["width"], icon["height"])
            flatten_on_white(drawn.resize((size, size), Image.Resampling.LANCZOS)).save(
                folder / f"{slug}.png"
            )
            called = {"object": name, "style": style, "captions": [f"{name}, {style} style"]}
            row = {"file_name": f"{slug}.png", **called, "license": license_, "source": package}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return len(chosen)


def list_icons(icons: Mapping[str, Icon], without: Sequence[str] = ()) -> list[tuple[str, str]]:
    """The icons by name, each with what it is called in words; of those called alike the first ("pen", not "pen-2")."""
    found: dict[str, str] = {}
    for slug in sorted(icons):
        if not any(fnmatchcase(slug, pattern) for pattern in without):
            name = re.sub(r"(-\d+)+$", "", slug).replace("-", " ")
            found.setdefault(name, slug)
    return [(slug, name) for name, slug in sorted(found.items())]


def _icons(unpacked: Path, package: str) -> dict[str, Icon]:
    """By name, each with its own width and height."""
    try:
        found = json.loads((unpacked / "icons.json").read_text())
        sides = {"width": found.get("width", 16), "height": found.get("height", 16)}
        return {slug: {**sides, **icon} for slug, icon in found["icons"].items()}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{package} is not an icon set in Iconify's format (@iconify-json/...): {error!r}"
        ) from None


def _license(unpacked: Path) -> str:
    """What the package says of itself: an SPDX identifier, or ""."""
    return str(json.loads((unpacked / "package.json").read_text()).get("license", ""))
