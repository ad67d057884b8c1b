"""`mezzotint data`: the pictures that models are trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(name="data", help="Make the data sets that the bundled models are trained on.")


@data.callback()
def _group() -> None:
    """A group although it has one command: the name says what is made."""


@data.command()
def emoji(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keeps the npm packages; by default beside DIR.")
    ] = None,
) -> None:
    """Fetch seven freely licensed emoji styles from npm and draw them at 128 pixels, with captions."""
    from mezzotint.cli.folder import check_folder
    from mezzotint.cli.train import needs_extra
    from mezzotint.cli.voice import note

    check_folder(folder)
    with needs_extra("train"):
        from mezzotint.data.emoji import build
    count = build(folder, cache or folder.absolute().with_name(f"{folder.name}-packages"), note)
    print(f"{folder}: {count} pictures")
