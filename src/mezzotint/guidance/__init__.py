"""Guidance as data: terms, and the short expressions that they write themselves as."""

from mezzotint.guidance.expression import TERMS, of_number, parse
from mezzotint.guidance.steer import PRESETS, Clip, Color, LossGradient, LossQuery
from mezzotint.guidance.terms import Cfg, Guidance, Mix, Steer, Term

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
