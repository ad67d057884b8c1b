"""`mezzotint models` and `mezzotint samplers`: what there is, and the words that a model knows."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mezzotint.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from mezzotint.models.known_words import KnownWords

DEFAULT = "emoji"  # as in models/bundled.py, which is slow to import

AsJson = Annotated[bool, typer.Option("--json", help="Print an object a line.")]


def samplers(as_json: AsJson = False) -> None:
    """List the samplers: order, noise, cost, and what to call them in diffusers."""
    rows = _samplers()
    if as_json:
        return _print_json(rows)
    headings = {"name": "Sampler", "order": "Order", "noise": "Fresh noise", "evaluations": "Calls"}
    _print_table(headings, rows, below="diffusers")
    print("Order: of convergence. Calls: of the network for 25 steps. In gray: what diffusers calls it.")


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="With --words: a bundled name or a folder.")
    ] = None,
    part: Annotated[
        str | None,
        typer.Argument(metavar="PART", help="objects, styles, colors or places, or a part of a word."),
    ] = None,
    words: Annotated[
        bool, typer.Option("--words", help="List the words that MODEL knows, all or those of PART.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the bundled models. A diffusers folder, a .safetensors file or a hub id open the same way.

    mezzotint models emoji --words cat
    """
    if words:
        return _print_words(name or DEFAULT, part, as_json)
    rows = _models()
    if name is not None:
        rows = [row for row in rows if row["name"] == name]
        if not rows or part is not None:
            raise ConfigError(f"add --words to list what a model knows: mezzotint models {name} --words")
    if as_json:
        return _print_json(rows)
    headings = {"name": "Model", "size": "Pixels", "megabytes": "MB", "installed": "Installed"}
    _print_table(headings, rows, below="license")


def _print_words(model: str, part: str | None, as_json: bool) -> None:
    """Names with their other names, a line each where one part is asked for; else all parts in paragraphs."""
    from mezzotint.models.known_words import PARTS

    known = _known_words(model)
    parts = [part] if part in PARTS else PARTS
    found = {name: known.listing(name) for name in parts}
    if part is not None and part not in PARTS:
        found = {name: _with(part.lower(), names) for name, names in found.items()}
        if not any(found.values()):
            raise ConfigError(f"{model} knows no word with {part[:60]!r}; parts are {', '.join(PARTS)}")
    if as_json:
        return _print_json(
            [{"part": at, "word": word, "others": found[at][word]} for at in found for word in found[at]]
        )
    for at, names in found.items():
        if part is None:
            print(textwrap.fill(f"{at} ({len(names):,}): {', '.join(names)}", 100), end="\n\n")
        for word, others in names.items() if part is not None else ():
            print(f"{word}: {', '.join(others)}" if others else word)


def _known_words(model: str) -> KnownWords:
    """ConfigError or ModelError where a model does not say."""
    from mezzotint.models.bundled import BUNDLED
    from mezzotint.models.disk.source import folder_of
    from mezzotint.models.known_words import FILE_NAME, KnownWords

    folder = folder_of(model)
    if folder is None:
        raise ModelError(f"no model {model!r} is here; name a folder or {', '.join(BUNDLED)}")
    known = KnownWords.read(folder)
    if known is None:
        wordless = model in BUNDLED and not BUNDLED[model].reads_text
        why = "draws without a prompt" if wordless else f"has no {FILE_NAME}"
        raise ModelError(f"{model} {why}, so it lists no words")
    return known


def _with(text: str, names: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Those that hold the text, or have another name that does."""
    return {
        name: others for name, others in names.items() if any(text in one.lower() for one in (name, *others))
    }


def _samplers() -> list[dict[str, Any]]:
    from mezzotint.planning import plan
    from mezzotint.request import Request
    from mezzotint.samplers import SAMPLERS
    from mezzotint.schedule import Schedule

    schedule = Schedule.from_config({"beta_schedule": "scaled_linear", "prediction_type": "epsilon"})
    rows = []
    SAMPLERS.load()
    for name, sampler in SAMPLERS.items():
        kind, extra = sampler.diffusers or ("", {})
        settings = ", ".join(f"{key}={value!r}" for key, value in extra.items())
        rows.append(
            {
                "name": name,
                "order": sampler.order,
                "noise": sampler.noise,
                "evaluations": plan(Request(sampler=name, steps=25), schedule).evaluations,
                "diffusers": f"{kind}({settings})" if settings else kind,
                "description": sampler.about,
            }
        )
    return rows


def _models() -> list[dict[str, Any]]:
    from mezzotint.models.bundled import BUNDLED

    return [
        {
            "name": model.name,
            "size": "{}x{}".format(*model.size),
            "megabytes": round(model.bytes / 1e6, 1),
            "installed": model.is_installed,
            "license": model.licence,
            "description": model.description,
        }
        for model in BUNDLED.values()
    ]


def _print_json(rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        print(json.dumps(row))


def _print_table(headings: dict[str, str], rows: Sequence[dict[str, Any]], below: str) -> None:
    """A column a heading, and one with the description and, under it, the field named `below`."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for key, heading in headings.items():
        first, number = key == "name", type(rows[0][key]) in (int, float)
        table.add_column(
            heading, style="cyan" if first else "", justify="right" if number else "left", no_wrap=True
        )
    table.add_column("", overflow="fold")
    for row in rows:
        about = Text(row["description"]).append(f"\n{row[below]}", style="dim")
        table.add_row(*(_cell(row[key]) for key in headings), about)
    Console().print(table)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
