"""The key of a picture: what decides its bits."""

from __future__ import annotations

import hashlib
import json
from typing import Protocol

from mezzotint.picture import Picture
from mezzotint.request import Request


class HasRuntime(Protocol):
    """What says by what it was computed: a model, or a provenance."""

    @property
    def runtime(self) -> str: ...
    @property
    def dtype(self) -> str: ...


def precision_of(by: HasRuntime) -> str:
    """Runtime and number format, such as `openvino float32`: two runtimes round differently."""
    return f"{by.runtime} {by.dtype}"


def key_of(request: Request, model_digest: str, mode: str, precision: str) -> str:
    """sha256 of their canonical JSON, 64 hex digits."""
    parts = {"request": request.digest, "model": model_digest, "mode": mode, "precision": precision}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def key_of_picture(picture: Picture) -> str:
    """The key under which this picture is kept."""
    p = picture.provenance
    return key_of(picture.request, p.model_digest, p.mode, precision_of(p))
