"""What is said of pictures beside them: `metadata.jsonl` or `metadata.csv`, or a `.txt` of the same name."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mezzotint.data.pictures.listing import Packed, Skipped, plain_lines, some
from mezzotint.errors import DataError

METADATA = ("metadata.jsonl", "metadata.csv")
COLUMNS = ("text", "caption", "captions")
MAX_TEXT = 64 * 1024  # bytes of a .txt


@dataclass
class FolderMetadata:
    """What all metadata of a folder says: captions by path, a line each."""

    captions: dict[str, str] = field(default_factory=dict)
    licenses: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def read_metadata(root: Path, files: Sequence[str], pictures: set[str]) -> FolderMetadata:
    """The rows of metadata files as Hugging Face's imagefolder has them; `file_name` counts from their folder."""
    rows = FolderMetadata()
    for file in files:
        missing: list[str] = []
        try:
            for row in _rows(root, file):
                name = os.path.normpath(os.path.join(os.path.dirname(file), row["file_name"]))
                if name not in pictures:
                    inside = not name.startswith(("..", "/")) and os.path.lexists(root / name)
                    missing += [] if inside else [row["file_name"]]
                    continue
                rows.captions[name] = caption_in(row)
                if isinstance(row.get("license"), str):
                    rows.licenses[row["license"]] += 1
        except DataError as error:
            rows.problems.append(str(error))
        if missing:
            count = "a picture that is" if len(missing) == 1 else f"{len(missing):,} pictures that are"
            rows.problems.append(f"{file} names {count} not there: {some(missing)}")
    return rows


def caption_in(row: dict[str, Any]) -> str:
    """The captions of a row, a line each, from the first of its columns text, caption, captions that has any."""
    for column in COLUMNS:
        found = row.get(column)
        texts = found if isinstance(found, list) else [found]
        lines = [" ".join(text.split()) for text in texts if isinstance(text, str)]
        if any(lines):
            return "\n".join(filter(None, lines))
    return ""


def captions_of(
    root: Path, pictures: Sequence[str], texts: set[str], rows: dict[str, str]
) -> tuple[Packed, list[Skipped]]:
    """For each picture the metadata's captions, else those of its `.txt`: each line is one of several."""
    unread: list[Skipped] = []

    def captions(picture: str) -> str:
        beside = os.path.splitext(picture)[0] + ".txt"
        if rows.get(picture) or beside not in texts:
            return rows.get(picture, "")
        try:
            return _text(root / beside)
        except (OSError, UnicodeDecodeError, ValueError) as error:
            unread.append(
                Skipped(picture, f"its .txt cannot be read: {getattr(error, 'strerror', None) or error}")
            )
            return ""

    return Packed(captions(picture) for picture in pictures), unread


def _text(path: Path) -> str:
    if not path.is_file():
        raise ValueError("not a plain file")
    with path.open("rb") as file:
        data = file.read(MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        raise ValueError("over 64 KiB")
    return plain_lines(data.decode("utf-8-sig"))


def _rows(root: Path, file: str) -> Iterator[dict[str, Any]]:
    """Rows with a file_name; DataError with the line of the first that is none."""
    number = 1
    try:
        with open(root / file, encoding="utf-8-sig", newline="") as lines:
            for number, row in _parse(lines, file.endswith(".csv")):
                if not isinstance(row, dict) or not isinstance(row.get("file_name"), str):
                    raise DataError(
                        f"{file}, line {number}: a row needs a file_name, the path of its picture"
                    )
                yield row
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, csv.Error) as error:
        raise DataError(f"{file} is damaged after line {number}: {error}") from None


def _parse(lines: Any, as_csv: bool) -> Iterator[tuple[int, Any]]:
    if as_csv:
        reader = csv.DictReader(lines)
        return ((reader.line_num, row) for row in reader)
    return ((number, json.loads(line)) for number, line in enumerate(lines, 1) if line.strip())
