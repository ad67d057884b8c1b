"""`mezzotint serve`: pictures for other programs and people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mezzotint.cli.precision import PrecisionOption
from mezzotint.cli.train import needs_extra
from mezzotint.precision import precision_named


def serve(
    model: Annotated[
        list[str] | None, typer.Option(metavar="MODEL", help="What is served, by default emoji; repeat.")
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Any but this machine's own needs a token.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535)] = 7860,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A token a line, or NAME:TOKEN: who may draw.")
    ] = None,
    store: Annotated[Path, typer.Option(metavar="DIR", help="Where pictures and jobs are kept.")] = Path(
        "store"
    ),
    database: Annotated[
        str, typer.Option(metavar="URL", help="Of the jobs, where that is no file in the store.")
    ] = "",
    max_queue: Annotated[int, typer.Option(metavar="N", min=1, help="Pictures that may wait.")] = 10_000,
    max_pixels: Annotated[int, typer.Option(metavar="N", min=4096, help="Of a picture.")] = 1024 * 1024,
    max_steps: Annotated[int, typer.Option(metavar="N", min=1, max=2000, help="Of a picture.")] = 200,
    mode: Annotated[
        Literal["fast", "exact"], typer.Option(help="exact: not a bit depends on the company.")
    ] = "fast",
    runtime: Annotated[
        Literal["auto", "openvino", "torch"], typer.Option(help="auto: torch on a GPU, else openvino.")
    ] = "auto",
    precision: PrecisionOption = None,
) -> None:
    """Serve pictures over HTTP: our own API, and what other tools' clients speak.

    mezzotint serve --model emoji --port 7860
    """
    with needs_extra("serve"):
        from mezzotint.serve.run import serve as run
        from mezzotint.serve.settings import ServeSettings
    settings = ServeSettings(
        models=tuple(model or ["emoji"]),
        host=host,
        port=port,
        store=store,
        database=database,
        max_queue=max_queue,
        max_pixels=max_pixels,
        max_steps=max_steps,
        mode=mode,
        runtime=runtime,
        precision=precision_named(precision or "auto"),
    )
    run(settings)
