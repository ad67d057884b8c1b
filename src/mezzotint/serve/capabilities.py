"""What the server can do: from this one answer a page or a program serves any model."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from mezzotint.expressions import ENCODERS
from mezzotint.guidance import PRESETS, Cfg, Clip, Color, Mix
from mezzotint.request import Request
from mezzotint.samplers import SAMPLERS
from mezzotint.schedule import SPACINGS
from mezzotint.serve.deps import ServiceDep
from mezzotint.serve.images import FORMATS
from mezzotint.serve.jobs import MOST_PRIORITY

router = APIRouter(prefix="/v1", tags=["pictures"])
_TERMS = {"cfg": Cfg, "mix": Mix, "color": Color, "clip": Clip}


class ModelView(BaseModel):
    """A model that is served."""

    name: str
    open: bool = Field(description="Whether it is in memory now.")
    digest: str | None = Field(default=None, description="Null until it was opened.")
    width: int | None = None
    height: int | None = None
    side_multiple: int | None = None
    reads_text: bool | None = None
    defaults: dict[str, Any] = {}
    runtime: str | None = None
    precision: str | None = None


class TermField(BaseModel):
    """A field of a guidance term."""

    name: str
    type: str
    default: Any = Field(default=None, description="Null where it must be given, or is chosen.")
    required: bool


class Capabilities(BaseModel):
    """Everything that a client may ask for here."""

    models: list[ModelView]
    samplers: list[str]
    spacings: list[str]
    encoders: list[str]
    guidance: dict[str, list[TermField]]
    presets: list[str]
    formats: list[str]
    defaults: dict[str, Any] = Field(description="Of a request's fields, where the model has none.")
    limits: dict[str, int]
    adapters: bool = Field(description="Whether LoRA and words are taken.")
    mode: str


@router.get("/capabilities")
async def capabilities(service: ServiceDep) -> Capabilities:
    """Models, samplers, spacings, guidance terms with their fields, limits and defaults."""
    s = service.settings
    return Capabilities(
        models=[_model(service.hosts.find(name), name) for name in s.sources],
        samplers=SAMPLERS.names(),
        spacings=list(SPACINGS),
        encoders=list(ENCODERS),
        guidance={name: [_field(f) for f in fields(kind)] for name, kind in _TERMS.items()},
        presets=sorted(PRESETS),
        formats=list(FORMATS),
        defaults={f.name: f.default for f in fields(Request)},
        limits={
            "max_pixels": s.max_pixels,
            "max_steps": s.max_steps,
            "max_count": s.max_count,
            "max_queue": s.max_queue,
            "max_upload": s.max_upload,
            "max_priority": MOST_PRIORITY,
        },
        adapters=s.allow_adapters,
        mode=s.mode,
    )


def _model(host: Any, name: str) -> ModelView:
    if host is None:
        return ModelView(name=name, open=False)
    network = host.network
    return ModelView(
        name=name,
        open=True,
        digest=network.digest,
        width=network.default_size[0],
        height=network.default_size[1],
        side_multiple=network.side_multiple,
        reads_text=network.reads_text,
        defaults=dict(host.engine.defaults),
        runtime=network.runtime,
        precision=network.dtype,
    )


def _field(f: Any) -> TermField:
    required = f.default is MISSING and f.default_factory is MISSING
    default = (
        None if f.default is MISSING or not isinstance(f.default, (str, int, float, bool)) else f.default
    )
    return TermField(name=f.name, type=re.sub(r"\s+", " ", str(f.type)), default=default, required=required)
