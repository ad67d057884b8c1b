"""Text-to-image and pixel models: found, checked, and executed by torch or by OpenVINO.

Nothing heavy is imported before a model is opened, and nothing of this package before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mezzotint.models.bundled import BUNDLED, BundledModel
    from mezzotint.models.lora.files import keep_lora
    from mezzotint.models.model import Model
    from mezzotint.models.opening import AnyModel, open_model
    from mezzotint.models.pixel_model import PixelModel
    from mezzotint.models.texts.inversion import keep_word
    from mezzotint.models.texts.tokenizer import TruncatedPromptWarning

_HOMES = {
    "BUNDLED": "bundled",
    "AnyModel": "opening",
    "BundledModel": "bundled",
    "Model": "model",
    "PixelModel": "pixel_model",
    "TruncatedPromptWarning": "texts.tokenizer",
    "keep_lora": "lora.files",
    "keep_word": "texts.inversion",
    "open_model": "opening",
}
__all__ = [
    "BUNDLED",
    "AnyModel",
    "BundledModel",
    "Model",
    "PixelModel",
    "TruncatedPromptWarning",
    "keep_lora",
    "keep_word",
    "open_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mezzotint.models' has no attribute {name!r}")
    return getattr(import_module(f"mezzotint.models.{_HOMES[name]}"), name)
