"""The short way: requests in, pictures out."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mezzotint.engine import Engine, Mode, Network
from mezzotint.errors import ModelError, RequestError
from mezzotint.picture import Picture
from mezzotint.request import Request

Asked = Request | str  # a string is a prompt; the rest then has the model's defaults


def generate(
    requests: Asked | Iterable[Asked],
    model: Network | str | os.PathLike[str] | None = None,
    mode: Mode = "fast",
) -> list[Picture]:
    """Make pictures in one engine, in the order asked; `model` is a bundled name, a folder, or an open model.

    The first error is raised and the other pictures are given up; an Engine gives each its own outcome.
    """
    asked = [requests] if isinstance(requests, (Request, str)) else requests
    if not isinstance(asked, Iterable):
        raise RequestError(f"requests must be a Request, a prompt or several, got {type(asked).__name__}")
    asked = list(asked)
    network = _opened(model)
    defaults = getattr(network, "defaults", {})  # a network of one's own needs none
    with Engine(network, mode) as engine:
        futures = engine.submit_all(Request(r, **defaults) if isinstance(r, str) else r for r in asked)
        return [future.result() for future in futures]


def _opened(model: Network | str | os.PathLike[str] | None) -> Network:
    if model is not None and not isinstance(model, (str, os.PathLike)):
        if not hasattr(model, "denoise"):
            kind = type(model).__name__
            raise ModelError(f"model must be a bundled name, a folder or an open model, got {kind}")
        return model
    from mezzotint.models import open_model

    return open_model() if model is None else open_model(model)
