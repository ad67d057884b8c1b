"""Text-to-image models: found, checked, and executed by torch or by OpenVINO.

Nothing heavy is imported before a model is opened.
"""

from mezzotint.models.bundled import BUNDLED, BundledModel
from mezzotint.models.model import Model
from mezzotint.models.opening import open_model
from mezzotint.models.tokenizer import TruncatedPromptWarning

__all__ = ["BUNDLED", "BundledModel", "Model", "TruncatedPromptWarning", "open_model"]
