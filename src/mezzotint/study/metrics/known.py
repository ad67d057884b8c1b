"""All metrics by name: the house's, and those that other packages bring by the entry point `mezzotint.metrics`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec

from mezzotint.errors import ConfigError, DataError, MezzotintError, nearest
from mezzotint.extras import install
from mezzotint.picture import Picture
from mezzotint.request import Request
from mezzotint.study.metrics.looks import LOOKS
from mezzotint.study.metrics.metric import Context, Metric, SetResult
from mezzotint.study.metrics.plain import PLAIN
from mezzotint.study.metrics.sets import SETS
from mezzotint.study.metrics.words import WORDS

GROUP = "mezzotint.metrics"
METRICS: dict[str, Metric] = {metric.name: metric for metric in (*WORDS, *LOOKS, *PLAIN, *SETS)}


@dataclass(frozen=True)
class Measurements:
    """`each`: a list of floats by metric, in the order of the pictures; `sets`: one result by metric."""

    each: dict[str, list[float]]
    sets: dict[str, SetResult]


def get_metrics(names: Sequence[str]) -> list[Metric]:
    """These metrics. ConfigError names all that are unknown, and a package whose metric does not load."""
    brought = {point.name: point for point in entry_points(group=GROUP)}
    unknown = [name for name in names if name not in METRICS and name not in brought]
    if unknown:
        known = sorted({*METRICS, *brought})
        told = ", ".join(f"{name!r}{nearest(name, known)}" for name in unknown)
        raise ConfigError(f"no metric is called {told}; known: {', '.join(known)}")
    return [
        METRICS[name] if name in METRICS else _load_metric(brought[name]) for name in dict.fromkeys(names)
    ]


def find_metric(name: str) -> Metric | None:
    """The metric of a name, for what it says of itself; None where nobody here knows it, as in another's table."""
    if name in METRICS:  # pages ask often, and the packages are searched at each call of `get_metrics`
        return METRICS[name]
    try:
        return get_metrics([name])[0]
    except ConfigError:
        return None


def _load_metric(point: object) -> Metric:
    name = getattr(point, "name", "")
    try:
        found = point.load()  # type: ignore[attr-defined]
    except Exception as error:  # whatever a foreign package raises
        raise ConfigError(f"the metric {name!r} does not load: {type(error).__name__}: {error}") from error
    if not isinstance(found, Metric) or found.name != name:
        raise ConfigError(f"the entry point {name!r} of {GROUP} must be a Metric of that name")
    return found


def open_metrics(names: Sequence[str], context: Context, plain: bool = True) -> list[Metric]:
    """The metrics, with all that they need opened before any picture is drawn. ConfigError tells all that is wrong.

    `plain`: whether whoever asks will draw what `comparison_requests` lists.
    """
    metrics = get_metrics(names)
    problems = [problem for metric in metrics for problem in _problems(metric, context, plain)]
    needs = {need for metric in metrics for need in metric.needs}
    for need in sorted(needs):
        try:
            _open_need(need, context)
        except MezzotintError as error:
            wanting = ", ".join(metric.name for metric in metrics if need in metric.needs)
            problems.append(f"{wanting}: {error}")
    if problems:
        raise ConfigError("; ".join(problems))
    return metrics


def _problems(metric: Metric, context: Context, plain: bool) -> Iterator[str]:
    for package in metric.packages:
        if find_spec(package) is None:
            yield f"{metric.name} needs {package}; {install('metrics')}"
    if "plain" in metric.needs and (metric.plain is None or not plain):
        yield f"{metric.name} compares with pictures that are not drawn here; leave it out"


def _open_need(need: str, context: Context) -> None:
    if need == "reference":
        context.open_reference()
    elif need == "clip":
        context.pair("clip")
    elif need == "judge":
        context.pair("judge")
    elif need == "style":
        _ = context.probe
    elif need == "objects":
        _ = context.facts


def comparison_requests(metrics: Iterable[Metric], requests: Sequence[Request]) -> list[Request]:
    """The further requests whose pictures the metrics compare with, each once, without those already asked."""
    asked = {request.digest for request in requests}
    found = {
        one.digest: one
        for metric in metrics
        if metric.plain is not None
        for one in map(metric.plain, requests)
    }
    return [one for digest, one in found.items() if digest not in asked]


def measure(metrics: Iterable[Metric], pictures: Sequence[Picture], context: Context) -> Measurements:
    """All metrics of these pictures. DataError where a metric does not give what it should."""
    each: dict[str, list[float]] = {}
    sets: dict[str, SetResult] = {}
    for metric in metrics:
        found = metric.compute(pictures, context)
        if isinstance(found, SetResult) and metric.of_set:
            sets[metric.name] = found
        elif isinstance(found, list) and len(found) == len(pictures) and not metric.of_set:
            each[metric.name] = [float(value) if value is not None else math.nan for value in found]
        else:
            what = "one SetResult" if metric.of_set else f"{len(pictures)} floats"
            raise DataError(f"the metric {metric.name!r} should give {what}, got {type(found).__name__}")
    return Measurements(each, sets)
