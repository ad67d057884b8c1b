"""`mezzotint eval`: how good a model is, by a judge that never guides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mezzotint.cli.options import PrecisionOption

if TYPE_CHECKING:
    from mezzotint.evaluation import Measure, Score


def evaluate(
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="A bundled name or a diffusers folder.")
    ] = "emoji",
    judge: Annotated[str, typer.Option(metavar="PAIR", help="The image-text pair that scores.")] = "judge",
    count: Annotated[int, typer.Option(metavar="N", min=1, help="Seen objects, and held-out pairs.")] = 100,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the first picture.")] = 0,
    steps: Annotated[int, typer.Option(metavar="N", help="Of each picture.")] = 25,
    guidance: Annotated[
        str | None, typer.Option(metavar="TERMS", help="As for generate; by default the model's own.")
    ] = None,
    encoder: Annotated[
        str, typer.Option(metavar="NAMES", help="Of the texts, as for generate; else the model's own.")
    ] = "",
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Of `mezzotint data emoji`: scores real pictures, too.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep the sheets and the verdicts.")] = None,
    precision: PrecisionOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object a kind of prompt.")] = False,
    blind: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a sheet of 64 numbered pictures for a reader, and its key."),
    ] = None,
    real: Annotated[
        bool, typer.Option("--real", help="With --blind: real pictures, for the reader's own score.")
    ] = False,
    answers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --blind: score a reader's lines `1: a cat`.")
    ] = None,
) -> None:
    """Score a model on a fixed list of prompts: objects, held-out pairs, colors, counts, places, free wording.

    With --data also strictly: the nearest real picture, the judge's first choice, sharpness, KID, precision and recall.
    Needs the torch extra; takes a minute or two.
    """
    from mezzotint.cli.output import check_folder
    from mezzotint.errors import ConfigError
    from mezzotint.extras import require
    from mezzotint.models.disk.source import defaults_of

    if blind is None and (real or answers is not None):
        raise ConfigError(f"{'--real' if real else '--answers'} goes with --blind DIR")

    guidance = guidance or str(defaults_of(model).get("guidance", "cfg(5)"))
    if blind is not None:
        check_folder(blind)
        _blind(blind, model, seed, steps, guidance, data, real, answers)
        return
    if out is not None:
        check_folder(out)
    require("mezzotint eval", "torch", "torch", "transformers")

    import json
    from dataclasses import asdict

    from mezzotint.cli.messages import note
    from mezzotint.evaluation import run

    found = run(model, judge, count, seed, steps, guidance, encoder, data, out, note, precision or "auto")
    scores, measures = found
    if as_json:
        rows = [asdict(score) for score in scores] + [asdict(measure) for measure in measures]
        print("\n".join(json.dumps(row) for row in rows))
    else:
        read_by = f", {encoder}" if encoder else ""
        _table(scores, f"{model}{read_by}, {steps} steps, {guidance}, seed {seed} and up")
        _strict_table(measures)


def _blind(
    folder: Path,
    model: str,
    seed: int,
    steps: int,
    guidance: str,
    data: Path | None,
    real: bool,
    answers: Path | None,
) -> None:
    """Write the sheet and its key, or score a reader's answers."""
    from mezzotint.api import generate
    from mezzotint.errors import ConfigError
    from mezzotint.evaluation.blind import KEY, SHEET, choose_items, real_pictures, score_answers, write_sheet
    from mezzotint.models import open_model
    from mezzotint.request import Request

    if answers is not None:
        for kind, share in score_answers(folder / KEY, answers).items():
            print(f"{kind}: {share:.2f}")
        return
    if data is None:
        raise ConfigError("the blind sheet needs --data, the folder of `mezzotint data emoji`")
    items = choose_items(data, real=real)
    if real:
        pictures = real_pictures(data, items)
    else:
        requests = [
            Request(item.prompt, seed=seed + i, steps=steps, guidance=guidance)
            for i, item in enumerate(items)
        ]
        pictures = [picture.image for picture in generate(requests, open_model(model))]
    write_sheet(folder, items, pictures)
    print(f"{folder / SHEET}: give it to a reader; then --answers FILE, with a line `1: a cat` a picture")


def steering(
    model: Annotated[str, typer.Option(metavar="MODEL", help="faces, emoji, or another.")] = "faces",
    seeds: Annotated[int, typer.Option(metavar="N", min=2, help="Pairs of pictures a strength.")] = 64,
    steps: Annotated[int, typer.Option(metavar="N", help="Of each picture.")] = 25,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep a sheet of each kind.")] = None,
) -> None:
    """Measure color and CLIP guidance: the best strength by a sweep, then its effect on pairs of pictures.

    Each pair has one seed, with and without the term. Needs the torch extra; takes some minutes.
    """
    from mezzotint.cli.output import check_folder
    from mezzotint.extras import require
    from mezzotint.request import Request

    if out is not None:
        check_folder(out)
    Request(steps=steps)  # RequestError before any work
    require("mezzotint eval-steering", "torch", "torch", "transformers")

    from rich.console import Console
    from rich.table import Table

    from mezzotint.cli.messages import note
    from mezzotint.evaluation.steering import GuidanceSweep, best
    from mezzotint.models import open_model
    from mezzotint.models.image_text import ImageText

    table = Table(title=f"{model}, {steps} steps")
    for heading in ("term", "strength", "pairs", "gain", "95 % interval", "subject kept"):
        table.add_column(heading, justify="left" if heading == "term" else "right")
    both = open_model(model), ImageText.open("judge")
    for kind in ("color", "clip"):
        note(f"drawing with and without {kind}")
        found = GuidanceSweep.prepare(kind, model, *both, seeds // 2, steps, first=10_000).sweep(out=out)
        final = GuidanceSweep.prepare(kind, model, *both, seeds, steps).sweep([best(found).strength])
        for o in (*found, *final):
            name = kind if o in found else f"{kind}, on other seeds"
            span = f"{o.low:.4f} to {o.high:.4f}"
            kept = "" if o.kept != o.kept else f"{o.kept:.2f}"
            table.add_row(name, f"{o.strength:g}", str(o.pairs), f"{o.gain:.4f}", span, kept)
        table.add_section()
    Console().print(table)


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


def _strict_table(measures: list[Measure]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not measures:
        return
    table = Table(title="strictly")
    for heading in (
        "prompts",
        "measure",
        "n",
        "value",
        "95 % interval",
        "real pictures",
        "through the autoencoder",
    ):
        table.add_column(heading, justify="left" if heading in ("prompts", "measure") else "right")
    for m in measures:
        span = f"{m.low:.2f} to {m.high:.2f}" if m.low == m.low else ""
        ceilings = [f"{value:.2f}" for value in m.real] + [""] * (2 - len(m.real))
        table.add_row(m.kind, m.name, str(m.count), f"{m.value:.3f}", span, *ceilings)
    Console().print(table)
