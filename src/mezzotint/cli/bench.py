"""`mezzotint bench`: against diffusers, interleaved, on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from mezzotint.cli.options import PrecisionOption
from mezzotint.precision import DTYPES

Say = Callable[[str], None]  # hears what is being done


def bench(
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="A bundled name or a diffusers folder.")
    ] = "emoji",
    repeats: Annotated[int, typer.Option(metavar="N", help="Single pictures and cold starts of each.")] = 5,
    requests: Annotated[int, typer.Option(metavar="N", help="Mixed requests.")] = 64,
    steps: Annotated[int, typer.Option(metavar="N", help="Of single pictures and cold starts.")] = 20,
    precision: PrecisionOption = "fp32",
    skip_cold: Annotated[bool, typer.Option("--skip-cold", help="Start no whole processes.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="A check that it works; the times say little.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the JSON to this file, too.")
    ] = None,
) -> None:
    """Measure Mezzotint against diffusers: same weights, dtype, steps, noise; in turn, in one run.

    Needs the torch extra; takes some minutes on an idle machine.
    """
    from mezzotint.bench import BenchSettings, report, run

    settings = BenchSettings(
        model=model,
        repeats=repeats,
        requests=requests,
        steps=steps,
        dtype=DTYPES[precision or "fp32"],  # type: ignore[arg-type]  # checked there
        cold=not skip_cold,
        quick=quick,
    )
    result = _run_bench(lambda say: run(settings, say), out)
    if as_json:
        print(_json(result))
    else:
        report(result, _console())


def bench_steering(
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="A bundled name or a diffusers folder.")
    ] = "emoji",
    clip: Annotated[str, typer.Option(metavar="PAIR", help="The image-text pair that guides.")] = "clip",
    sd: Annotated[
        Path | None,
        typer.Option("--sd-v1-4", metavar="DIR", help="Instead: that architecture, random weights."),
    ] = None,
    steps: Annotated[int, typer.Option(metavar="N", help="Of each picture.")] = 20,
    repeats: Annotated[int, typer.Option(metavar="N", help="Of each, in turn.")] = 5,
    together: Annotated[int, typer.Option(metavar="N", min=0, help="Pictures at once; 0: one only.")] = 16,
    cutouts: Annotated[int, typer.Option(metavar="N", min=1, help="Of each picture at each step.")] = 4,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the JSON to this file, too.")
    ] = None,
) -> None:
    """Measure what CLIP guidance costs: guided over unguided seconds, and the community pipeline beside it."""
    from mezzotint.bench.random_model import write_random_model
    from mezzotint.bench.steering import run_steering

    def run(say: Say) -> dict[str, Any]:
        names = model, clip
        if sd is not None:
            say("writing random weights")
            names = write_random_model(sd)
        return run_steering(*names, steps, repeats, together, cutouts, say)

    print(_json(_run_bench(run, out), indent=2))


def bench_training(
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Pictures a batch.")] = 4,
    accumulate: Annotated[int, typer.Option(metavar="N", min=1, help="Batches a step.")] = 1,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Of each side, in turn.")] = 6,
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="In each round.")] = 5,
    precision: PrecisionOption = "bf16",
    threads: Annotated[int, typer.Option(metavar="N", min=1, help="Of each side.")] = 1,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the JSON to this file, too.")
    ] = None,
) -> None:
    """Measure training against the plain loop of diffusers' example: same network, pictures, batch, precision; in turn."""
    from mezzotint.bench.training import TrainingSettings, run_training

    settings = TrainingSettings(batch, accumulate, rounds, steps, precision or "bf16", threads)
    print(_json(_run_bench(lambda say: run_training(settings, say), out), indent=2))


def bench_sweep(
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="A bundled name or a diffusers folder.")
    ] = "emoji",
    scales: Annotated[int, typer.Option(metavar="N", min=1, help="Of guidance, from 1 up.")] = 20,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Of each scale.")] = 32,
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="Of each picture.")] = 20,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Of each side, in turn.")] = 4,
    sample: Annotated[int, typer.Option(metavar="N", min=1, help="Diffusers' pictures a round.")] = 10,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the JSON to this file, too.")
    ] = None,
) -> None:
    """Measure a sweep of guidance scales against diffusers one by one, for the same evaluations."""
    from mezzotint.bench.sweep import run_sweep

    settings = model, scales, seeds, steps, rounds, sample
    print(_json(_run_bench(lambda say: run_sweep(*settings, say), out), indent=2))


def _run_bench(run: Callable[[Say], dict[str, Any]], out: Path | None) -> dict[str, Any]:
    """What a bench finds, in `out` too; whether that can be written is known before the minutes of work."""
    if out:
        _check(out)
    with _progress() as say:
        result = run(say)
    if out:
        _write(out, _json(result, indent=2) + "\n")
    return result


def _json(result: dict[str, Any], indent: int | None = None) -> str:
    import json

    return json.dumps(result, indent=indent, allow_nan=False)


def _console() -> Any:
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=110)


@contextmanager
def _progress() -> Iterator[Say]:
    """What is being done: a line that moves in a terminal, lines on stderr elsewhere."""
    if not sys.stderr.isatty():
        yield lambda line: print(line, file=sys.stderr, flush=True)
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.update


def _check(file: Path) -> None:
    """OutputError, before minutes of work, where the file cannot be written."""
    from mezzotint.cli.output import check_folder
    from mezzotint.errors import OutputError

    if file.is_dir():
        raise OutputError(f"cannot write {file}: it is a folder")
    check_folder(file.parent)


def _write(file: Path, text: str) -> None:
    from mezzotint.cli.output import make_folder
    from mezzotint.errors import OutputError
    from mezzotint.files import write_atomic

    make_folder(file.parent)
    try:
        write_atomic(file, text.encode())
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror or error}") from None
