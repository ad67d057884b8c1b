"""`mezzotint eval`: how good a model is, by a judge that never guides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mezzotint.evaluation import Score


def evaluate(
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="A bundled name or a diffusers folder.")
    ] = "emoji",
    judge: Annotated[str, typer.Option(metavar="PAIR", help="The image-text pair that scores.")] = "judge",
    count: Annotated[int, typer.Option(metavar="N", min=1, help="Seen objects, and held-out pairs.")] = 100,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the first picture.")] = 0,
    steps: Annotated[int, typer.Option(metavar="N", help="Of each picture.")] = 25,
    guidance: Annotated[str, typer.Option(metavar="TERMS", help="As for generate.")] = "cfg(5)",
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Of `mezzotint data emoji`: scores real pictures, too.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep the sheets and the verdicts.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object a kind of prompt.")] = False,
) -> None:
    """Score a model on a fixed list of prompts: objects, held-out pairs, colors, counts, places, free wording.

    Needs the torch extra; takes a minute or two.
    """
    import json
    from dataclasses import asdict

    from mezzotint.cli.voice import note
    from mezzotint.evaluation import run

    scores = run(model, judge, count, seed, steps, guidance, data, out, note)
    if as_json:
        for score in scores:
            print(json.dumps(asdict(score)))
    else:
        _table(scores, f"{model}, {steps} steps, {guidance}, seed {seed} and up")


def _table(scores: list[Score], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for heading in ("prompts", "n", "right", "95 % interval", "real pictures", "through the autoencoder"):
        table.add_column(heading, justify="left" if heading == "prompts" else "right")
    for s in scores:
        ceilings = ["" if share is None else f"{share:.2f}" for share in (s.real, s.decoded)]
        table.add_row(s.kind, str(s.count), f"{s.share:.2f}", f"{s.low:.2f} to {s.high:.2f}", *ceilings)
    Console().print(table)
