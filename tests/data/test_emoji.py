"""The picture set: names, splits, rendering, and what is said when npm is missing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mezzotint.data import emoji
from mezzotint.errors import DataError

BODY = '<circle cx="16" cy="16" r="12" fill="#ff0000"/>'


def packages(cache: Path) -> None:
    """What `npm pack` would have brought, with two objects."""
    labels = cache / "emojibase-data-17.0.0/en"
    (labels / "shortcodes").mkdir(parents=True)
    rows = [
        {"label": "red circle", "hexcode": "1F534", "group": 8, "tags": ["circle", "red"]},
        {"label": "piñata", "hexcode": "1FA85", "group": 6, "tags": ["party"]},
        {"label": "flag: Peru", "hexcode": "1F1F5-1F1EA", "group": 9, "tags": ["flag"]},
        {"label": "light skin tone", "hexcode": "1F3FB", "group": 2, "tags": []},
    ]
    (labels / "data.json").write_text(json.dumps(rows))
    for source in ("cldr", "github", "iamcal", "joypixels", "emojibase"):
        found = {"1F534": "red_circle", "1FA85": ["pinata", "party_toy"]} if source == "github" else {}
        (labels / f"shortcodes/{source}.json").write_text(json.dumps(found))
    for spec in emoji.STYLES.values():
        folder = cache / f"{spec.package.replace('/', '-').lstrip('@')}-{spec.version}"
        (folder / "assets").mkdir(parents=True)
        icons = {"icons": {"red-circle": {"body": BODY}, "pinata": {"body": BODY}}, "width": 32, "height": 32}
        (folder / "icons.json").write_text(json.dumps(icons))


def test_the_folder_holds_every_picture_with_its_words_and_licence(tmp_path: Path) -> None:
    packages(tmp_path / "cache")
    count = emoji.build(tmp_path / "set", tmp_path / "cache")
    rows = [json.loads(line) for line in (tmp_path / "set/metadata.jsonl").read_text().splitlines()]
    assert count == len(rows) == 2 * 6  # the 3D package is webp by code point, and this one is empty
    assert {row["object"] for row in rows} == {"red circle", "piñata"}
    assert all((tmp_path / "set" / row["file_name"]).exists() for row in rows)
    toy = next(row for row in rows if row["object"] == "piñata")
    assert toy["aliases"] == ["party toy", "pinata"]
    assert toy["license"] and toy["source"].startswith("@iconify-json/")
    assert {row["split"] for row in rows if row["style"] == emoji.HELD_OUT_STYLE} == {"style"}


def test_the_held_out_pairs_are_fixed_and_leave_each_object_two_styles() -> None:
    pairs = [
        (f"object {i}", style) for i in range(100) for style in ("noto", "twemoji", "emojione", "fxemoji")
    ]
    pairs += [("lonely", "noto"), ("lonely", "twemoji")]
    held = emoji.held_out_pairs(pairs)
    assert held == emoji.held_out_pairs(list(reversed(pairs)))
    assert len(held) == round(emoji.HELD_OUT_SHARE * len(pairs)) == len({name for name, _ in held})
    assert not any(name == "lonely" or style == "fxemoji" for name, style in held)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Japanese “free of charge” button", "japanese-free-of-charge-button"), ("piñata", "pinata"), ("A & B", "a-and-b"),
     ("man’s shoe", "mans-shoe")],
)  # fmt: skip
def test_slugs_are_those_of_the_icon_sets(name: str, expected: str) -> None:
    assert emoji.slug(name) == expected


def test_without_npm_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="npm was not found"):
        emoji.build(tmp_path / "set", tmp_path / "cache")
    assert not (tmp_path / "set").exists()


def test_without_a_network_the_error_has_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "npm error\nnpm error network unreachable\n")
    monkeypatch.setattr(emoji.shutil, "which", lambda _: "/usr/bin/npm")
    monkeypatch.setattr(emoji.subprocess, "run", lambda *a, **k: failed)
    with pytest.raises(DataError, match=r"could not fetch .* network unreachable"):
        emoji.build(tmp_path / "set", tmp_path / "cache")


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="not empty"):
        emoji.build(tmp_path, tmp_path / "cache")
    assert (tmp_path / "mine.txt").read_text() == "keep"
