"""`import openvino` without what it does beside: reports over the network, a file in the home folder.

Importing the package imports its conversion tools, and those report the import. Mezzotint builds graphs
itself and needs neither the tools nor the reports, so both are hidden while the package is imported; this
also halves the time.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_HIDDEN = ("openvino_telemetry", "openvino.tools.ovc")


def load() -> Any:
    """The `openvino` module; ImportError where it is not installed."""
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    hidden = [name for name in _HIDDEN if name not in sys.modules]
    blocked: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    blocked.update(dict.fromkeys(hidden))  # None: an import of the name raises ImportError
    try:
        return importlib.import_module("openvino")
    finally:
        for name in hidden:
            del sys.modules[name]
