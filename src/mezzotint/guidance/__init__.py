"""Guidance as data: terms, and the short expressions that they write themselves as."""

from mezzotint.guidance.expression import TERMS, parse
from mezzotint.guidance.terms import Cfg, Guidance, Term

__all__ = ["TERMS", "Cfg", "Guidance", "Term", "parse"]
