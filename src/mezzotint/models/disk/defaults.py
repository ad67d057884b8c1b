"""What a model is drawn with where a request does not say, from `mezzotint.json` in its folder.

    {"defaults": {"guidance": "cfg(4)", "sampler": "dpmpp-2m", "steps": 25}}

Every key may be left out; what a folder does not say is the default of `Request`. Other readers skip the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mezzotint.errors import ModelError, RequestError, nearest
from mezzotint.models.disk.parts import read_json
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
