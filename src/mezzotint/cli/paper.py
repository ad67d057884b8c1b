"""`mezzotint paper`: every figure and claim of the studied report, drawn and judged again, on one page."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mezzotint.cli.options import Minutes, PrecisionOption, StoreFolder
from mezzotint.extras import needs_extra

QUICK, FULL = 8, 32  # seeds


def paper(
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Fewer seeds and shorter training; --dry-run says how long it takes here."
        ),
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="This section alone; may be given several times.")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Not this section; may be given several times.")
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Only name the sections, with the report's figures.")
    ] = False,
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="In place of the bundled one that reads prompts.")
    ] = "emoji",
    pixel_model: Annotated[
        str, typer.Option(metavar="MODEL", help="In place of the bundled one that reads none.")
    ] = "faces",
    seeds: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help=f"0: {QUICK} with --quick, else {FULL}; costly sections take a part."
        ),
    ] = 0,
    limit_minutes: Minutes = 0.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what there is to do, and how long it takes here.")
    ] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the page goes.")] = Path("paper"),
    store: StoreFolder = Path("store"),
    precision: PrecisionOption = None,
) -> int:
    """Draw every figure of the studied report again and judge every claim; run again to go on.

    The report is "Text-to-Image Generation using CLIP and Diffusion Models" (course SSY340, project group 24).

    mezzotint paper --quick
    mezzotint paper --only guidance-scale --only bert
    mezzotint paper --quick --skip fine-tuning
    """
    with needs_extra("train,study"):
        from mezzotint.paper.contents import select_makers
        from mezzotint.paper.paper import Paper, heading, makers
        from mezzotint.paper.section import PaperSettings

        sections = select_makers(makers(), only or (), skip or ())

    from mezzotint.cli.messages import note, print_warnings
    from mezzotint.cli.output import check_folder, make_folder
    from mezzotint.files import default_cache
    from mezzotint.models.disk.source import find
    from mezzotint.store import Store

    if list_:
        for one in sections:
            print(f"{one.name:20} {heading(one).removesuffix(f', {one.name}')}: {one.title}")
        return 0
    for folder in (store, out):
        check_folder(folder)
    for name in (model, pixel_model):
        find(name, default_cache())  # ModelError before any work
    command = shlex.join(["mezzotint", *sys.argv[1:]])
    with print_warnings(note), Store.open(store) as kept:
        count = seeds or (QUICK if quick else FULL)
        setting = PaperSettings(quick, model, pixel_model, kept, out, note, count, precision or "auto")
        made = Paper(setting, sections, limit_minutes, command)
        for line in made.plan():
            print(line) if dry_run else note(line)
        if not dry_run:
            make_folder(out)
            print(made())
    return made.code
