"""The contact sheet: small pictures in a folder beside the page, and what is known of each, compactly."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from mezzotint.errors import OutputError
from mezzotint.study.table import Row, StudyTable

FOLDER, SIDE = "pictures", 192  # pixels at most
_TILE = 96  # on the page
_PRINTED = 120  # pictures on paper, and where scripts are off
_HERE = Path(__file__).parent
STYLE = (_HERE / "sheet.css").read_text(encoding="utf-8")


def short(key: str) -> str:
    """The name of a picture's file: 64 of the bits of its key."""
    return key[:16]


def thumbnail_path(key: str) -> str:
    """Where a small picture lies beside the page; its script says the same."""
    return f"{FOLDER}/{key[:2]}/{short(key)}.webp"


def thumbnails(folder: Path, table: StudyTable, picture: Callable[[Row], Image.Image]) -> None:
    """Write those that are not there yet; a picture is asked for only then. OutputError where none can be written."""
    for row in table:
        path = folder / thumbnail_path(row.key)
        if path.exists():
            continue
        image = picture(row).convert("RGB")
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(part, format="WEBP", quality=90)
            part.replace(path)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from None


def sheet(table: StudyTable, title: str) -> str:
    """The section's HTML: what chooses, where tiles go, their data and script, and an excerpt for paper."""
    data = json.dumps(compact(table, title), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    script = (_HERE / "sheet.js").read_text(encoding="utf-8")
    safe = data.replace("<", "\\u003c")  # no text of a prompt ends the element
    return (
        '<div class="bar"><output></output></div><div class="frame"><div id="sheet"></div></div><dialog></dialog>\n'
        f'<div class="excerpt">{"".join(map(_excerpt_tile, excerpt(table)))}</div>\n'
        "<noscript><style>.excerpt{position:static}</style></noscript>\n"
        f'<script type="application/json" id="data">{safe}</script>\n<script>{script}</script>'
    )


def compact(table: StudyTable, title: str) -> dict[str, Any]:
    """Columns instead of rows; what all requests share is said once, what varies by its place among its values."""
    rows = list(table)
    requests = [json.loads(row.request.to_json()) for row in rows]
    cells, cell = _unique_values([[row.cell.get(axis) for axis in table.axes] for row in rows])
    models, model = _unique_values([row.model for row in rows])
    base, varied = _split(requests)
    return {
        "title": title,
        "folder": FOLDER,
        "side": _TILE,
        "axes": list(table.axes),
        "cells": cells,
        "cell": cell,
        "seed": [row.seed for row in rows],
        "models": models,
        "model": model,
        "key": [short(row.key) for row in rows],
        "metrics": {name: [_number(row.metrics.get(name)) for row in rows] for name in table.metrics},
        "evaluations": [row.evaluations for row in rows],
        "seconds": [_number(row.seconds) for row in rows],
        "base": base,
        "varied": varied,
    }


def _split(requests: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What all have alike, and of each other field its values and which of them each has; -1 for none."""
    base: dict[str, Any] = {}
    varied: dict[str, Any] = {}
    for field in dict.fromkeys(name for one in requests for name in one):
        values, which = _unique_values([one[field] for one in requests if field in one])
        if len(values) == 1 and len(which) == len(requests):
            base[field] = values[0]
        else:
            left = iter(which)
            varied[field] = {"values": values, "at": [next(left) if field in one else -1 for one in requests]}
    return base, varied


def _unique_values(found: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """The different ones among JSON-able values, in their order, and which of them each is."""
    texts = [json.dumps(value) for value in found]  # in which 1, 1.0 and true differ
    at = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return [json.loads(text) for text in at], [at[text] for text in texts]


def _number(value: float | None) -> float | None:
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None


def excerpt(table: StudyTable) -> list[Row]:
    """At most 120 rows spread over all cells: paper has no scrolling."""
    rows = list(table)
    if len(rows) <= _PRINTED:
        return rows
    return [rows[round(i * (len(rows) - 1) / (_PRINTED - 1))] for i in range(_PRINTED)]


def _excerpt_tile(row: Row) -> str:
    said = escape(", ".join([*(str(value) for value in row.cell.values()), f"seed {row.seed}"]))
    return f'<figure><img src="{thumbnail_path(row.key)}" alt="" decoding="async"><figcaption>{said}</figcaption></figure>'
