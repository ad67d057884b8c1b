"""What pictures are measured by. A metric is a function with a name: one float a picture, or one number of a set."""

from mezzotint.study.metrics.context import Context, Settings
from mezzotint.study.metrics.known import METRICS, Measured, about, chosen, companions, measure, ready
from mezzotint.study.metrics.metric import Metric, SetResult, batches

__all__ = [
    "METRICS",
    "Context",
    "Measured",
    "Metric",
    "SetResult",
    "Settings",
    "about",
    "batches",
    "chosen",
    "companions",
    "measure",
    "ready",
]
