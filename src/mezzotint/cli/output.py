"""Where pictures go: the folder or the file, checked before any work, and a name for each."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import unicodedata
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from mezzotint.errors import DataError, OutputError
from mezzotint.files import write_durably
from mezzotint.picture import Picture


def check_folder(folder: Path) -> None:
    """OutputError where files could not be made in `folder`, existing or not. Nothing is left behind."""
    try:
        real = _real(folder)
        existing = next(path for path in (real, *real.parents) if _exists(path))
        with tempfile.TemporaryFile(dir=existing):
            pass
    except NotADirectoryError:
        raise OutputError(f"cannot write into {folder}: {existing} is a file") from None
    except OSError as error:
        raise OutputError(f"cannot write into {folder}: {error.strerror}") from None


def make_folder(folder: Path) -> None:
    """The folder, with those above it. OutputError where that cannot be."""
    try:
        _real(folder).mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)  # what it passes through, as `new` in `new/../out`
    except OSError as error:
        raise OutputError(f"cannot write into {folder}: {error.strerror}") from None


def check_file(path: Path) -> None:
    """OutputError where a file could not be made at `path`. Nothing is left behind."""
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder")
    check_folder(path.parent)


def write(path: Path, data: bytes) -> None:
    """The file, in a folder that is made where it is missing."""
    make_folder(path.parent)
    write_durably(path, data)


def write_png(path: Path, image: Image.Image) -> None:
    """The pixels alone: what a sheet shows is told by no request."""
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    write(path, buffer.getvalue())


def _real(folder: Path) -> Path:
    """Where it is or would be: links followed, also those that lead nowhere yet."""
    return Path(os.path.realpath(folder))


def _exists(path: Path) -> bool:
    """Whether something is there; OSError where nothing could be."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def file_name(picture: Picture) -> str:
    """`7-a-red-rose-3f2a9c81d0.png`: seed, prompt, and a digest of request, model, precision and mode.

    Where there is no prompt, the model's name is in its place: `7-faces-3f2a9c81d0.png`. The pixels take no part, since
    they differ between processors in the last digits: the same request has the same name everywhere.
    """
    request, made = picture.request, picture.provenance
    parts = (request.digest, made.model_digest, made.dtype, made.mode)
    digest = hashlib.sha256(" ".join(parts).encode()).hexdigest()[:10]
    said = request.prompt or made.model
    return "-".join(filter(None, (str(request.seed), _slug(said), digest))) + ".png"


def free_path(folder: Path, picture: Picture) -> Path:
    """Where the picture goes: at its name, or with a number behind it where another picture has the name."""
    name = file_name(picture)
    path, number = folder / name, 1
    while path.exists() and not _shows(path, picture):
        number += 1
        path = folder / f"{name.removesuffix('.png')}-{number}.png"
    return path


def _shows(path: Path, picture: Picture) -> bool:
    """Whether the file holds the same picture, to the rounding that `fast` allows in company (2 of 255)."""
    try:
        there = np.asarray(Picture.open(path).image, np.int16)
    except DataError:
        return False
    ours = np.asarray(picture.image.convert("RGB"), np.int16)
    return there.shape == ours.shape and int(np.abs(there - ours).max()) <= 2


def _slug(prompt: str) -> str:
    """At most 40 characters of a prompt that any file system takes: whole words of a-z and 0-9."""
    plain = unicodedata.normalize("NFKD", prompt[:200]).encode("ascii", "ignore").decode().lower()
    slug = ""
    for word in re.findall(r"[a-z0-9]+", plain):
        if len(slug) + len(word) >= 40:
            return slug or word[:40]
        slug += f"-{word}" if slug else word
    return slug
