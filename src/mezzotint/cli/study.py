"""`mezzotint study`: questions in YAML, answered by many pictures; run again to go on where it stopped."""

from __future__ import annotations

import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mezzotint.cli.options import Index, Minutes, PrecisionOption, StoreFolder
from mezzotint.cli.study_new import new
from mezzotint.cli.study_sheet import sheet
from mezzotint.cli.study_tune import tune
from mezzotint.extras import needs_extra

if TYPE_CHECKING:
    from mezzotint.study.spec import Study

study = typer.Typer(name="study", help="Many pictures that answer a question; run again to go on.")


@study.callback()
def _root() -> None:
    """Many pictures that answer a question; run again to go on."""


study.command()(new)


@study.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The study.")],
    limit_minutes: Minutes = 0.0,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="In place of the study's: so many.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what there is to do.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the page and the tables go; by default studies/NAME."),
    ] = None,
    store: StoreFolder = Path("store"),
    index: Index = "",
    precision: PrecisionOption = None,
) -> int:
    """Make the pictures of a study that are missing, measure them, and write a page.

    mezzotint study run cfg.yaml --dry-run
    """
    with needs_extra("study"):
        from mezzotint.study.spec import Study
    asked = Study.read(file)
    asked = asked.with_seeds(seeds) if seeds else asked
    asked = asked.model_copy(update={"precision": precision}) if precision else asked
    out = out or Path("studies") / asked.name

    from mezzotint.cli.messages import note, print_warnings
    from mezzotint.cli.output import check_folder

    for folder in (store, out):
        check_folder(folder)
    with print_warnings(note):
        return _run(asked, out, store, index, limit_minutes, dry_run)


study.command()(sheet)
study.command()(tune)


def _run(asked: Study, out: Path, folder: Path, index: str, minutes: float, dry: bool) -> int:
    from mezzotint.cli.messages import note
    from mezzotint.cli.output import make_folder
    from mezzotint.store import Store
    from mezzotint.study.answer import StudyRunner

    with ExitStack() as open_:
        laboratory = StudyRunner(asked, lambda: open_.enter_context(Store.open(folder, index)))
        for line in laboratory.summary():
            print(line) if dry else note(line)
        if dry:
            return 0
        found = laboratory.run(minutes, note)
        outcome, pictures = found.outcome, laboratory.outline.pictures
        for what, where in outcome.failed.items():
            note(f"error: {what} [{' | '.join(where)}]")
        if outcome.code or outcome.late:
            there = pictures - sum(len(item.tasks) for item in laboratory.work) + outcome.made
            note(f"stopped with {there} of {pictures} pictures; the same command goes on from there")
        if not outcome.code:
            make_folder(out)
            print(laboratory.write_page(found, out, shlex.join(["mezzotint", *sys.argv[1:]])))
    return outcome.code or (1 if outcome.failed else 0)
