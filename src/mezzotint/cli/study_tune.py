"""`mezzotint study tune`: the best setting for a metric, and how sure that is; run again to go on."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mezzotint.cli.options import Index, Minutes, PrecisionOption, StoreFolder
from mezzotint.extras import needs_extra

if TYPE_CHECKING:
    from mezzotint.store import Store
    from mezzotint.study.spec import Study
    from mezzotint.study.tune.goal import Goal
    from mezzotint.study.tune.verdict import SearchSummary

_ROWS, _WIDTH = 15, 160  # settings in the terminal, and columns where there is none


def tune(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The study, with a search.")],
    metric: Annotated[str, typer.Option(metavar="NAME", help="What is made best.")],
    higher: Annotated[
        bool | None,
        typer.Option("--maximize/--minimize", help="By default what is better for the metric."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC<=X", help="A bound on the mean of another metric; repeat."),
    ] = None,
    trials: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="Settings to try.")] = 24,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="Of the best settings; by default the study's.")
    ] = None,
    limit_minutes: Minutes = 0.0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the page goes; by default studies/NAME-METRIC."),
    ] = None,
    store: StoreFolder = Path("store"),
    index: Index = "",
    precision: PrecisionOption = None,
) -> int:
    """Find the best setting for a metric: all on few seeds, the better half on twice as many, and so on.

    mezzotint study tune cfg.yaml --metric judge_score --keep "distance_unguided<=0.2"
    """
    with needs_extra("study"):
        import optuna  # noqa: F401  # which takes a second: only where it is used

        from mezzotint.study.spec import Study
    asked = Study.read(file)
    asked = asked.with_seeds(seeds) if seeds else asked
    asked = asked.model_copy(update={"precision": precision}) if precision else asked

    from mezzotint.cli.messages import note, print_warnings
    from mezzotint.cli.output import check_folder
    from mezzotint.study.tune.goal import parse_goal

    wanted = parse_goal(metric, higher, keep or [])
    out = out or Path("studies") / f"{asked.name}-{metric}"
    for folder in (store, out):
        check_folder(folder)
    from mezzotint.store import Store

    with print_warnings(note), ExitStack() as open_:
        opened = cache(lambda: open_.enter_context(Store.open(store, index)))
        return _tune(asked, wanted, opened, out, trials, limit_minutes)


def _tune(
    asked: Study, wanted: Goal, store: Callable[[], Store], out: Path, trials: int, minutes: float
) -> int:
    from mezzotint.cli.messages import note
    from mezzotint.cli.output import make_folder
    from mezzotint.study.tune.page import write
    from mezzotint.study.tune.search import Search
    from mezzotint.study.tune.verdict import SearchSummary

    search = Search(asked, wanted, store, out, minutes=minutes, say=note)
    make_folder(out)
    found = search(trials)
    for what, where in found.drawing.failed.items():
        note(f"error: {what} [{' | '.join(where)}]")
    if found.drawing.code:
        note("stopped; the same command goes on from there")
        return found.drawing.code
    verdict = SearchSummary(found)
    _print(verdict)
    print(write(verdict, store(), out, shlex.join(["mezzotint", *sys.argv[1:]])))
    return 1 if found.drawing.failed else 0


def _print(verdict: SearchSummary) -> None:
    """The settings, what they say, and the command that draws with the best."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from mezzotint.study.tune.verdict import format_interval

    bounds = [bound.metric for bound in verdict.goal.bounds]
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in (*verdict.found.space.names, "seeds", verdict.goal.metric, *bounds, "best in", ""):
        made.add_column(name, overflow="fold")
    for line in verdict.lines[:_ROWS]:
        numbers = (format_interval(one, digits=3) for one in (line.mean, *line.kept.values()))
        marks = "best" * line.best or " ".join(["alike"] * line.alike + ["base"] * line.setting.base)
        values = ("none" if value is None else str(value) for value in line.setting.point.values())
        made.add_row(
            *values, str(line.mean.n), *numbers, f"{line.share:.0%}", marks, style="cyan" if line.best else ""
        )
    if verdict.lines:
        Console(width=None if sys.stdout.isatty() else _WIDTH).print(made)
    for said in verdict.sentences():
        print(said)
    if verdict.command:
        print(verdict.command)
