"""`mezzotint recall`: what a picture's file tells of how it was drawn; and `generate --like`, which draws it again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mezzotint.recall import Recipe


def recall(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A PNG, JPEG or WebP file.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a request as JSON; the rest on stderr.")
    ] = False,
) -> None:
    """Read the recipe in a picture: of Mezzotint, A1111, Forge, SD.Next, ComfyUI, InvokeAI, Fooocus or NovelAI.

    It says what is known, what was guessed and what is not known. `generate --like PICTURE` draws it.
    """
    from mezzotint.cli.messages import note, one_line
    from mezzotint.recall import recall as read

    recipe = read(picture)
    if as_json:
        print(recipe.request.to_json())
        for line in _remarks(recipe):
            note(line)
        return
    for line in _describe(recipe):
        print(one_line(line))
    for line in _remarks(recipe):
        print(one_line(line))


def like(picture: Path, overridden: dict[str, Any], model: str) -> tuple[dict[str, Any], list[str]]:
    """(fields of the request in a picture, what will differ), without what options override."""
    from mezzotint.recall import recall as read

    recipe = read(picture)
    lines = [f"like {picture}, drawn by {recipe.tool}"]
    if recipe.model:
        lines.append(f"its model was {recipe.model}; this is drawn by {model}")
    fields = dict(recipe.fields)
    if overridden.get("sampler", "ddim") != "ddim":
        fields.pop("eta", None)  # which is ddim's alone
    return fields, [*lines, *_remarks(recipe, overridden)]


def start_of(picture: Path) -> str | None:
    """`STEP/OF` of a picture that started from another one."""
    from mezzotint.recall import recall as read

    start = read(picture).start
    return f"{start[0]}/{start[1]}" if start else None


def _describe(recipe: Recipe) -> Iterator[str]:
    yield f"drawn by {recipe.tool}"
    if recipe.model:
        yield f"model: {recipe.model}"
    for name, value in recipe.fields.items():
        if value not in ("", None):
            yield f"{name.replace('_', ' ')}: {value}"


def _remarks(recipe: Recipe, overridden: dict[str, Any] | None = None) -> Iterator[str]:
    """Guesses and gaps, a line each; not those of fields that an option gives anew."""
    for line in recipe.guessed:
        if line.split()[0] not in (overridden or {}):
            yield f"guessed: {line}"
    for line in recipe.unknown:
        yield f"not known: {line}"
