"""The optional packages: which extra of Mezzotint brings each, and the line that names it where one is missing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from mezzotint.errors import ConfigError

EXTRA_OF = {
    "torch": "torch",
    "diffusers": "torch",
    "transformers": "torch",
    "accelerate": "torch",
    "scipy": "torch",
    "peft": "train",
    "resvg_py": "train",
    "tensorboard": "train",
    "all_minilm_l6_v2": "bert",
    "huggingface_hub": "hub",
    "datasets": "datasets",
    "pyarrow": "parquet",
    "torchmetrics": "metrics",
    "optuna": "study",
    "pydantic": "study",
    "yaml": "study",
    "sqlalchemy": "study",
    "fastapi": "serve",
    "prometheus_client": "serve",
    "psutil": "serve",
    "python_multipart": "serve",
    "sse_starlette": "serve",
    "uvicorn": "serve",
    "open_clip": "open-clip",
}
"""The smallest extra that brings a module; a test compares it with pyproject.toml."""


def install(extra: str) -> str:
    """The command for a terminal. Double quotes, which every shell takes."""
    return f'pip install "mezzotint[{extra}]"'


def is_installed(module: str) -> bool:
    """Whether a module is there, without importing it."""
    if module in sys.modules:
        return sys.modules[module] is not None
    return find_spec(module) is not None


def require(what: str, extra: str, *modules: str) -> None:
    """ConfigError where `what` cannot work, since one of the modules that the extra brings is missing."""
    for module in modules:
        if not is_installed(module):
            raise ConfigError(f"{what} needs {module}; {install(extra)}")


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """ConfigError with what to install where a module that this imports is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("mezzotint"):
            raise  # our own mistake
        raise ConfigError(f"this needs {error.name}; {install(extra)}") from None


def missing_extra(error: ModuleNotFoundError) -> str:
    """The line that names the extra of the module that an import did not find; "" where no extra brings it."""
    module = (error.name or "").partition(".")[0]
    extra = EXTRA_OF.get(module)
    return f"this needs {module}; {install(extra)}" if extra else ""
