"""`--precision`, one option with one meaning in all commands; `--dtype` and `--mixed-precision` are its former names."""

from __future__ import annotations

from typing import Annotated

import typer

from mezzotint.precision import PRECISIONS, precision_named


def _parse(value: str | None) -> str | None:
    return None if value is None else precision_named(value)


_HELP = "auto: the fastest that passes a self-test on this machine."
NAMES = ("--precision", "--dtype", "--mixed-precision")
PrecisionOption = Annotated[
    str | None, typer.Option(*NAMES, metavar="|".join(PRECISIONS), callback=_parse, help=_HELP)
]
"""As `PRECISIONS` has it; None where it is not said, which means auto."""
