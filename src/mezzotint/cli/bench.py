"""`mezzotint bench`: against diffusers, interleaved, on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer


def bench(
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="A bundled name or a diffusers folder.")
    ] = "emoji",
    repeats: Annotated[int, typer.Option(metavar="N", help="Single pictures and cold starts of each.")] = 5,
    requests: Annotated[int, typer.Option(metavar="N", help="Mixed requests.")] = 64,
    steps: Annotated[int, typer.Option(metavar="N", help="Of single pictures and cold starts.")] = 20,
    dtype: Annotated[str, typer.Option(metavar="auto|float32|bfloat16", help="Of both sides.")] = "float32",
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
    import json

    from mezzotint.bench import Settings, report, run

    settings = Settings(
        model=model,
        repeats=repeats,
        requests=requests,
        steps=steps,
        dtype=dtype,  # type: ignore[arg-type]  # checked there
        cold=not skip_cold,
        quick=quick,
    )
    if out:
        _check(out)
    with _progress() as say:
        result = run(settings, say)
    if out:
        _write(out, json.dumps(result, indent=2, allow_nan=False) + "\n")
    if as_json:
        print(json.dumps(result, allow_nan=False))
    else:
        report(result, _console())


def _console() -> Any:
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=110)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """What is being done: a line that moves in a terminal, lines on stderr elsewhere."""
    if not sys.stderr.isatty():
        yield lambda line: print(line, file=sys.stderr, flush=True)
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.update


def _check(file: Path) -> None:
    """OutputError, before minutes of work, where the file cannot be written."""
    from mezzotint.cli.folder import check_folder
    from mezzotint.errors import OutputError

    if file.is_dir():
        raise OutputError(f"cannot write {file}: it is a folder")
    check_folder(file.parent)


def _write(file: Path, text: str) -> None:
    from mezzotint.cli.folder import make_folder
    from mezzotint.errors import OutputError
    from mezzotint.models.cache import write_atomic

    make_folder(file.parent)
    try:
        write_atomic(file, text.encode())
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror or error}") from None
