"""`mezzotint study`: questions in YAML, answered by many pictures; run again to go on where it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mezzotint.cli.train import needs_extra

if TYPE_CHECKING:
    from mezzotint.study.outline import Outline
    from mezzotint.study.run import Work
    from mezzotint.study.spec import Study

study = typer.Typer(name="study", help="Many pictures that answer a question; run again to go on.")


@study.callback()
def _root() -> None:
    """Many pictures that answer a question; run again to go on."""


@study.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The study.")],
    limit_minutes: Annotated[
        float, typer.Option(metavar="N", min=0, help="Stop this run after so many; 0: when all is done.")
    ] = 0.0,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="In place of the study's: so many.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what there is to do.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the tables go; by default studies/NAME.")
    ] = None,
    store: Annotated[Path, typer.Option(metavar="DIR", help="Where pictures are kept.")] = Path("store"),
    index: Annotated[
        str, typer.Option(metavar="URL", help="A database for the store's index, such as postgresql://...")
    ] = "",
) -> int:
    """Make the pictures of a study that are missing, measure them, and write the tables.

    mezzotint study run cfg.yaml --dry-run
    """
    with needs_extra("study"):
        from mezzotint.study.spec import Study
    asked = Study.read(file)
    asked = asked.with_seeds(seeds) if seeds else asked
    out = out or Path("studies") / asked.name

    from mezzotint.cli.folder import check_folder
    from mezzotint.cli.voice import heard_warnings, note

    for folder in (store, out):
        check_folder(folder)
    with heard_warnings(note):
        return _run(asked, out, store, index, limit_minutes, dry_run)


def _run(asked: Study, out: Path, folder: Path, index: str, minutes: float, dry: bool) -> int:
    from mezzotint.cli.folder import make_folder
    from mezzotint.cli.voice import note
    from mezzotint.models import open_model
    from mezzotint.store import Store
    from mezzotint.study.measuring import Measuring
    from mezzotint.study.outline import Outline
    from mezzotint.study.run import run, work

    measuring = Measuring(asked)
    outline = Outline(asked, open_model, measuring.companions)
    with Store.open(folder, index) as store:
        items = work(outline, store)
        for line in told(outline, items):
            print(line) if dry else note(line)
        if dry:
            return 0
        outcome = run(items, store, minutes, note)
        for what, where in outcome.failed.items():
            note(f"error: {what} [{' | '.join(where)}]")
        there = outline.pictures - sum(len(item.tasks) for item in items) + outcome.made
        if outcome.code or outcome.late:
            note(f"stopped with {there} of {outline.pictures} pictures; the same command goes on from there")
        if outcome.code:
            return outcome.code
        table = measuring(outline, store, note)
        make_folder(out)
        table.to_csv(out / "table.csv")
        print(out / "table.csv")
    return 1 if outcome.failed else 0


def told(outline: Outline, items: Sequence[Work]) -> list[str]:
    """What there is to do, in three lines: pictures, network calls, time."""
    from mezzotint.study.run import duration

    missing = sum(item.cost.pictures for item in items)
    evaluations, rows, spared = (
        sum(getattr(item.cost, name) for item in items) for name in ("evaluations", "rows", "spared")
    )
    cells, seeds = len(outline.cells), len(outline.study.seed_list)
    seconds = sum(item.seconds for item in items)
    return [
        f"{outline.pictures} pictures: {cells} cells x {seeds} seeds; {missing} are missing",
        f"{evaluations} network evaluations, {rows} rows; shared beginnings save {spared} evaluations",
        f"about {duration(seconds)} on this machine",
    ]
