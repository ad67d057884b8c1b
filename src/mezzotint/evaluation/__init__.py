"""How good a text-to-image model is: pictures for fixed prompts, scored by a judge that never guides."""

from mezzotint.evaluation.run import Score, run

__all__ = ["Score", "run"]
