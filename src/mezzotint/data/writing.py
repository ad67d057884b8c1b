"""What writes a plain folder of pictures: it is new or empty, whole or not there; so many of them, picked by a seed."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from PIL import Image

from mezzotint.errors import DataError, OutputError

T = TypeVar("T")


def check_new(folder: Path) -> None:
    """DataError where there is something in it."""
    if folder.is_file() or (folder.exists() and any(folder.iterdir())):
        raise DataError(f"{folder} is not empty: name a new folder for the pictures")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write into that becomes `out` when all is well. DataError as above, OutputError where it cannot be."""
    check_new(out)
    part = out.absolute().with_name(f".{out.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        if out.exists():
            out.rmdir()
        part.rename(out)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def choose_items(found: Sequence[T], count: int, chance: str, what: str) -> list[T]:
    """So many of them, in their order, by the seed `chance`; 0: all. DataError where there are not so many `what`."""
    if not found or count > len(found):
        raise DataError(f"there are {len(found):,} such {what}, not {f'{count:,}' if count else 'any'}")
    chosen = random.Random(chance).sample(range(len(found)), count) if count else range(len(found))
    return [found[index] for index in sorted(chosen)]


def flatten_on_white(picture: Image.Image) -> Image.Image:
    """RGB, of a picture RGBA."""
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
