"""`mezzotint study sheet`: the pictures of a study side by side, for paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mezzotint.cli.options import Index, PrecisionOption, StoreFolder
from mezzotint.errors import ConfigError, DataError
from mezzotint.extras import needs_extra

if TYPE_CHECKING:
    from mezzotint.store import Store
    from mezzotint.study.outline import CompiledStudy
    from mezzotint.study.spec import Study

_KINDS = (".png", ".pdf")


def sheet(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The study.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A .png or a .pdf; by default studies/NAME/sheet.png."),
    ] = None,
    across: Annotated[
        str, typer.Option(metavar="AXIS", help="Of the columns, or seed; by default the longest axis.")
    ] = "",
    seeds: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="In place of the study's: so many.")
    ] = None,
    store: StoreFolder = Path("store"),
    index: Index = "",
    precision: PrecisionOption = None,
) -> None:
    """Write the pictures of a study side by side, as PNG or as PDF pages; it draws nothing new.

    mezzotint study sheet scale.yaml --across guidance.cfg.scale --seeds 2 --out scale.pdf
    """
    with needs_extra("study"):
        from mezzotint.study.spec import Study
    study = Study.read(file)
    study = study.with_seeds(seeds) if seeds else study
    study = study.model_copy(update={"precision": precision}) if precision else study
    out = out or Path("studies") / study.name / "sheet.png"
    if out.suffix.lower() not in _KINDS:
        raise ConfigError(f"--out {out} should end in {' or '.join(_KINDS)}")

    from mezzotint.cli.messages import note, print_warnings
    from mezzotint.cli.output import check_file
    from mezzotint.store import Store

    check_file(out)
    if not store.is_dir():
        raise DataError(f"there is no store at {store}; first: mezzotint study run {file}")
    with print_warnings(note), Store.open(store, index) as opened:
        _write(study, opened, out, across, f"mezzotint study run {file}")


def _write(study: Study, store: Store, out: Path, across: str, command: str) -> None:
    """`command`: what draws pictures that are missing."""
    from functools import partial

    from mezzotint import models
    from mezzotint.cli.messages import note
    from mezzotint.cli.output import write
    from mezzotint.study.measuring import read_picture
    from mezzotint.study.outline import CompiledStudy
    from mezzotint.study.sheet import contact_sheet
    from mezzotint.study.sheet_draw import draw_pdf, draw_png

    outline = CompiledStudy(study, partial(models.open_model, dtype=study.precision))
    keys = _keys(outline)
    here = store.rows(set(keys.values()))
    sheet = contact_sheet(study, outline.cells, lambda *at: keys[at] if keys[at] in here else None, across)
    if not here:
        raise DataError(f"none of the {len(keys)} pictures is in the store; first: {command}")
    if missing := sum(key not in here for key in keys.values()):
        note(f"{missing} of {len(keys)} pictures are missing; {command} draws them")
    first = read_picture(store, next(iter(here))).image
    draw = draw_pdf if out.suffix.lower() == ".pdf" else draw_png
    write(out, draw(sheet, lambda key: read_picture(store, key).image, first.height / first.width))
    print(out)


def _keys(outline: CompiledStudy) -> dict[tuple[int, int], str]:
    """The store's key of each (cell, seed)."""
    return {
        (place, seed): part.key(part.request(i, seed))
        for part in outline.parts
        for i, place in enumerate(part.places)
        for seed in outline.study.seed_list
    }
