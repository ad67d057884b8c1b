"""Mezzotint: a laboratory and an engine for guided text-to-image diffusion.

>>> import mezzotint
>>> [picture] = mezzotint.generate("a red apple")
>>> picture.save("apple.png")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mezzotint.api import generate
    from mezzotint.engine import Engine
    from mezzotint.errors import (
        ConfigError,
        DataError,
        MezzotintError,
        ModelError,
        OutputError,
        RequestError,
    )
    from mezzotint.guidance import Cfg, Clip, Color
    from mezzotint.models import open_model
    from mezzotint.picture import Picture
    from mezzotint.planning import Plan, plan
    from mezzotint.request import Request

__version__ = "0.1.0"

# Where each public name lives. Importing the package imports none of them: a command's help needs no numpy.
_HOMES = {
    "Cfg": "mezzotint.guidance",
    "Clip": "mezzotint.guidance",
    "Color": "mezzotint.guidance",
    "ConfigError": "mezzotint.errors",
    "DataError": "mezzotint.errors",
    "Engine": "mezzotint.engine",
    "MezzotintError": "mezzotint.errors",
    "ModelError": "mezzotint.errors",
    "OutputError": "mezzotint.errors",
    "Picture": "mezzotint.picture",
    "Plan": "mezzotint.planning",
    "Request": "mezzotint.request",
    "RequestError": "mezzotint.errors",
    "generate": "mezzotint.api",
    "open_model": "mezzotint.models",
    "plan": "mezzotint.planning",
}

__all__ = [
    "Cfg",
    "Clip",
    "Color",
    "ConfigError",
    "DataError",
    "Engine",
    "MezzotintError",
    "ModelError",
    "OutputError",
    "Picture",
    "Plan",
    "Request",
    "RequestError",
    "__version__",
    "generate",
    "open_model",
    "plan",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mezzotint' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
