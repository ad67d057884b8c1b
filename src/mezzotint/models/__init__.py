"""Text-to-image and pixel models: found, checked, and executed by torch or by OpenVINO.

Nothing heavy is imported before a model is opened.
"""

from mezzotint.models.bundled import BUNDLED, BundledModel
from mezzotint.models.lora.kept import keep_lora
from mezzotint.models.model import Model
from mezzotint.models.opening import AnyModel, open_model
from mezzotint.models.pixel_model import PixelModel
from mezzotint.models.texts.tokenizer import TruncatedPromptWarning
from mezzotint.models.texts.words import keep_word

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
