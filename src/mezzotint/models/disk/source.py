"""From what the user names to a model on disk: a bundled name, a folder, a single file, or a hub id.

`mezzotint.json` in a model's folder says what it is drawn with where a request does not:

    {"defaults": {"guidance": "cfg(4)", "sampler": "dpmpp-2m", "steps": 25}}

Every key may be left out. Other readers skip the file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mezzotint.errors import ModelError, RequestError, nearest
from mezzotint.models.bundled import BUNDLED
from mezzotint.models.disk.bundle import AnyBundle, draws_pixels, read_folder
from mezzotint.models.disk.hub import HUB_ID
from mezzotint.models.disk.hub_model import download_model
from mezzotint.models.disk.parts import read_json, refuse_pickle
from mezzotint.models.disk.single_file import read_single_file
from mezzotint.models.disk.variants import PICKLED
from mezzotint.request import Request

FILE_NAME = "mezzotint.json"
_KEYS = ("guidance", "sampler", "steps")


def read_defaults(folder: Path) -> dict[str, Any]:
    """Fields of a request; none where the folder has no such file. ModelError names what is wrong in it."""
    path = folder / FILE_NAME
    if not path.is_file():
        return {}
    data = read_json(path)
    _check_keys(path, data, ("defaults",))
    defaults = data.get("defaults", {})
    if not isinstance(defaults, dict):
        raise ModelError(f"{path}: defaults is an object of {', '.join(_KEYS)}")
    _check_keys(path, defaults, _KEYS)
    try:
        request = Request(**defaults)
    except RequestError as error:
        raise ModelError(f"{path}: {error}") from None
    return {key: getattr(request, key) for key in defaults}


def _check_keys(path: Path, data: dict[str, Any], known: tuple[str, ...]) -> None:
    for key in data:
        if key not in known:
            raise ModelError(f"{path} has {key!r}; it may say {', '.join(known)}{nearest(key, known)}")


def find(source: str | os.PathLike[str], cache: Path) -> AnyBundle:
    """The model that `source` names. ModelError says what is wrong, and the nearest name where none is known.

    A bundled name goes before a folder of that name: write `./emoji` for the folder.
    """
    if not isinstance(source, str | os.PathLike):
        raise ModelError(f"a model is named by a text or a path, not by {source!r}")
    text = os.fsdecode(source)
    if text in BUNDLED:
        return _read_bundled(text, cache)
    path = expand_user(Path(text))
    if path.is_file():
        return _file(path, cache)
    if text and path.is_dir():  # Path("") is the current folder
        return read_folder(path.resolve(), path.resolve().name, cache)
    if isinstance(source, str) and HUB_ID.fullmatch(text) and path.suffix not in (".safetensors", *PICKLED):
        return read_folder(download_model(text), text, cache)
    raise ModelError(
        f"no model {text!r}: neither a bundled name ({', '.join(BUNDLED)}), nor a folder or .safetensors "
        f"file, nor a hub id (owner/name){nearest(text, BUNDLED)}"
    )


def reads_text(source: str | os.PathLike[str]) -> bool | None:
    """Whether the model that `source` names reads prompts; None where that shows only when it is opened."""
    text = os.fsdecode(source)
    if text in BUNDLED:
        return BUNDLED[text].reads_text
    path = expand_user(Path(text))
    if text and path.is_dir():
        return not draws_pixels(path)
    return True if path.is_file() else None


def folder_of(source: str | os.PathLike[str]) -> Path | None:
    """The folder that `source` names; None of a single file, and of what is not on this machine."""
    text = os.fsdecode(source)
    path = BUNDLED[text].path if text in BUNDLED else expand_user(Path(text))
    return path if text and path.is_dir() else None


def defaults_of(source: str | os.PathLike[str]) -> dict[str, Any]:
    """Fields that requests to a model take where they do not say; those of a hub id show when it is opened."""
    folder = folder_of(source)
    return read_defaults(folder) if folder else {}


def expand_user(path: Path) -> Path:
    """The path with a leading `~` or `~user` replaced; ModelError where that user is not known here."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ModelError(f"cannot find the home folder in {str(path)!r}; write the path in full") from error


def _read_bundled(name: str, cache: Path) -> AnyBundle:
    model = BUNDLED[name]
    if not model.is_installed:
        raise ModelError(
            f"the bundled model {name!r} is not in this copy of Mezzotint; install a released package"
        )
    return read_folder(model.path, name, cache)


def _file(path: Path, cache: Path) -> AnyBundle:
    if path.suffix in PICKLED:
        raise refuse_pickle(str(path), "file")
    if path.suffix != ".safetensors":
        raise ModelError(f"{path} is not a model; a model is a diffusers folder or a .safetensors file")
    return read_single_file(path, cache)
