"""From words to Requests: options, prompts, and files of prompts, all of it checked before any work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mezzotint.errors import ConfigError, RequestError
from mezzotint.request import Request

MAX_PICTURES = 100_000  # of one run
MAX_BYTES = 64 << 20  # of a file of prompts


def requests(
    prompts: list[str], file: Path | None, options: dict[str, Any], repeat: int = 1
) -> list[Request]:
    """All requests of a run: each prompt `repeat` times, with seeds seed, seed+1, ...

    `file` has a prompt a line or, where it ends in `.jsonl`, an object of Request fields a line; `options`
    are the fields that a line leaves out. ConfigError or RequestError names the line that is wrong.
    """
    base = Request(**options)
    asked = [replace(base, prompt=prompt) for prompt in prompts]
    if file is not None:
        asked += _of_lines(file, base)
    if not asked:
        raise ConfigError("nothing to do: give a prompt in quotes, or --prompts-file FILE")
    if len(asked) * repeat > MAX_PICTURES:
        raise ConfigError(f"{len(asked) * repeat} pictures in one run; at most {MAX_PICTURES} are made")
    return [one for request in asked for one in request.repeat(repeat)]


def size(text: str | None) -> tuple[int | None, int | None]:
    """(width, height) in pixels from `128x128`; Request checks the numbers."""
    if text is None:
        return None, None
    found = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text, re.ASCII)
    if not found:
        raise RequestError(f"size must be WIDTHxHEIGHT in pixels, such as 128x128, got {text[:40]!r}")
    return int(found[1]), int(found[2])


def _of_lines(file: Path, base: Request) -> Iterator[Request]:
    lines = [(n, line) for n, line in enumerate(_read(file).split("\n"), start=1) if line.strip()]
    if len(lines) > MAX_PICTURES:
        raise ConfigError(f"{file} has {len(lines)} prompts; at most {MAX_PICTURES} are read")
    for number, line in lines:
        try:
            yield _of_object(line, base) if file.suffix == ".jsonl" else _of_prompt(line, base)
        except RequestError as error:
            raise RequestError(f"{file}, line {number}: {error}") from None


def _of_prompt(line: str, base: Request) -> Request:
    return replace(base, prompt=line.strip())


def _of_object(line: str, base: Request) -> Request:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise RequestError(f"must be a JSON object of a request's fields, got {type(fields).__name__}")
    return Request.from_dict({**vars(base), **fields})


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{file} is larger than {MAX_BYTES >> 20} MiB")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8 text") from None
