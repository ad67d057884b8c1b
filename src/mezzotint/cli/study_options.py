"""Options that commands have in common which draw into a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Minutes = Annotated[
    float, typer.Option(metavar="N", min=0, help="Stop this run after so many; 0: when all is done.")
]
StoreFolder = Annotated[Path, typer.Option(metavar="DIR", help="Where pictures are kept.")]
Index = Annotated[
    str, typer.Option(metavar="URL", help="A database for the store's index, such as postgresql://...")
]
