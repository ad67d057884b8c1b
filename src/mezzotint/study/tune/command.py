"""The command line that draws with a setting, to the bit as the search did."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import fields, replace

from mezzotint.request import Request
from mezzotint.study.cells import Cell

FILE = "best.jsonl"
_SAID = ("steps", "sampler", "spacing", "eta", "guidance", "encoder", "compat")


def requests(cells: Sequence[Cell], seed: int) -> str:
    """A line of JSON a cell, as `mezzotint generate --prompts-file` reads it."""
    return "".join(f"{replace(cell.request, seed=seed).to_json()}\n" for cell in cells)


def command(cells: Sequence[Cell], mode: str, seed: int, folder: str) -> str:
    """`mezzotint generate` with these settings; with the file of requests where options cannot say them."""
    first = cells[0].request
    alike = [cell for cell in cells if replace(cell.request, prompt=first.prompt) == first]
    words = ["mezzotint", "generate"]
    if first.init or first.lora or len(alike) < len(cells):
        words += ["--prompts-file", f"{folder}/{FILE}"]
    else:
        words += [*(cell.request.prompt for cell in alike if cell.request.prompt), *_options(first)]
        words += ["--seed", str(seed)] if seed else []
    words += ["--model", cells[0].model] if cells[0].model != "emoji" else []
    words += ["--mode", mode] if mode != "fast" else []
    return shlex.join([*words, "-n", "4"])


def _options(request: Request) -> list[str]:
    """What differs from what the command takes by itself."""
    usual = {field.name: field.default for field in fields(Request)}
    words = ["--negative", request.negative_prompt] if request.negative_prompt else []
    if request.width and request.height:
        words += ["--size", f"{request.width}x{request.height}"]
    for name in _SAID:
        value = getattr(request, name)
        if value != usual[name]:
            words += [f"--{name}", str(value)]
    return words
