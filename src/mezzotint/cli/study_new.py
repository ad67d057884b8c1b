"""`mezzotint study new`: a commented study to begin with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from mezzotint.errors import ConfigError, OutputError
from mezzotint.study.templates import TemplateName


def new(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE.yaml]", help="By default the template's name.")
    ] = None,
    template: Annotated[
        TemplateName, typer.Option(help="Guidance scale, samplers at equal cost, or the weight of a LoRA.")
    ] = "scale",
    lora: Annotated[
        Path | None, typer.Option(metavar="FILE", help="LoRA weights, for the template `lora`.")
    ] = None,
) -> None:
    """Write a commented study that runs as it is, to begin with.

    mezzotint study new my-samplers.yaml --template samplers
    """
    from mezzotint.cli.messages import note
    from mezzotint.cli.output import check_file, write
    from mezzotint.study.templates import template as text_of

    file = file or Path(f"{template}.yaml")
    if file.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"{file} should end in .yaml")
    if file.exists():
        raise OutputError(f"{file} exists already; name another file")
    if (lora is not None) != (template == "lora"):
        hint = "mezzotint study new --template lora --lora FILE.safetensors"
        raise ConfigError(f"the template lora, and no other, needs a file of LoRA weights: {hint}")
    if lora is not None and not lora.exists():
        raise ConfigError(f"--lora {lora} is not there; name a file of LoRA weights")
    check_file(file)
    weights = Path(os.path.relpath(lora, file.parent)).as_posix() if lora else ""
    write(file, text_of(template, file.name, weights).encode())
    note(f"next: mezzotint study run {file} --dry-run")
    print(file)
