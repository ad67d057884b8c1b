"""`mezzotint serve`: pictures for other programs and people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mezzotint.cli.options import PrecisionOption
from mezzotint.extras import needs_extra
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
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Of the server, as browsers call it; repeat.")
    ] = None,
    max_queue: Annotated[int, typer.Option(metavar="N", min=1, help="Pictures that may wait.")] = 10_000,
    max_pixels: Annotated[int, typer.Option(metavar="N", min=4096, help="Of a picture.")] = 1024 * 1024,
    max_steps: Annotated[int, typer.Option(metavar="N", min=1, max=2000, help="Of a picture.")] = 200,
    max_upload: Annotated[int, typer.Option(metavar="BYTES", min=1024, help="Of a file.")] = 16 << 20,
    memory: Annotated[
        float,
        typer.Option(metavar="GIB", min=0, help="For weights of open models; 0: half of the machine's."),
    ] = 0.0,
    rate: Annotated[
        int, typer.Option(metavar="N", min=0, help="Submissions a minute of a client; 0: any.")
    ] = 0,
    allow_adapters: Annotated[
        bool, typer.Option("--allow-adapters", help="Take LoRA and new words from clients.")
    ] = False,
    log_prompts: Annotated[bool, typer.Option("--log-prompts", help="Write prompts into the log.")] = False,
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
        from mezzotint.serve.run import run_server
        from mezzotint.serve.settings import ServeSettings
        from mezzotint.serve.tokens import read_tokens
    settings = ServeSettings(
        models=tuple(model or ["emoji"]),
        host=host,
        hosts=tuple(allow_host or ()),
        tokens=read_tokens(token_file) if token_file else (),
        port=port,
        store=store,
        database=database,
        max_queue=max_queue,
        max_pixels=max_pixels,
        max_steps=max_steps,
        max_upload=max_upload,
        max_memory=round(memory * 2**30),
        rate=rate,
        allow_adapters=allow_adapters,
        log_prompts=log_prompts,
        mode=mode,
        runtime=runtime,
        precision=precision_named(precision or "auto"),
    )
    run_server(settings)
