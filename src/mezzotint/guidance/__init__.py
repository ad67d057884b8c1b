"""Guidance as data: terms, and the short expressions that they write themselves as."""

from mezzotint.guidance.expression import TERMS, of_number, parse
from mezzotint.guidance.guidance import Guidance
from mezzotint.guidance.mixing import Cfg, Mix
from mezzotint.guidance.presets import PRESETS
from mezzotint.guidance.steer import Clip, Color, LossGradient, LossQuery, Steer
from mezzotint.guidance.terms import Term

__all__ = [
    "PRESETS",
    "TERMS",
    "Cfg",
    "Clip",
    "Color",
    "Guidance",
    "LossGradient",
    "LossQuery",
    "Mix",
    "Steer",
    "Term",
    "of_number",
    "parse",
]
