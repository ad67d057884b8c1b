"""How good a text-to-image model is: pictures for fixed prompts, scored by a judge that never guides."""

from mezzotint.evaluation.run import Evaluation, Score, run
from mezzotint.evaluation.strict import Measure

__all__ = ["Evaluation", "Measure", "Score", "run"]
