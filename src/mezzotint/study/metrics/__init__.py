"""What pictures are measured by. A metric is a function with a name: one float a picture, or one number of a set."""

from mezzotint.study.metrics.known import (
    METRICS,
    Measurements,
    comparison_requests,
    find_metric,
    get_metrics,
    measure,
    open_metrics,
)
from mezzotint.study.metrics.metric import Context, Metric, MetricSettings, SetResult, batches

__all__ = [
    "METRICS",
    "Context",
    "Measurements",
    "Metric",
    "MetricSettings",
    "SetResult",
    "batches",
    "comparison_requests",
    "find_metric",
    "get_metrics",
    "measure",
    "open_metrics",
]
