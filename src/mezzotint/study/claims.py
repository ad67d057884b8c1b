"""Claims of a study: what somebody says about its pictures, as typed tables that are checked before any work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from mezzotint.config import Config
from mezzotint.errors import ConfigError, nearest
from mezzotint.study.finding import Source
from mezzotint.study.metrics import get_metrics
from mezzotint.study.spec import Scalar, Study

COUNTED = (
    "evaluations",
    "seconds",
    "cost",
)  # known of every picture, measured or not; cost: seconds, by this machine's rates
Cell = dict[str, Scalar | tuple[Scalar, ...]]  # axis: its value, or several


class Claim(Config):
    """What all kinds have."""

    says: str = Field(min_length=1)
    """The claim in words."""
    kind: str
    where: Cell = Field({})
    """Only the pictures of these values of axes are looked at."""
    given: dict[str, Any] = Field({})
    """A claim without which this one cannot be confirmed, such as that the metric tells the best from noise."""
    source: Source = "ours"
    """Whose claim it is: `report` for the studied one."""

    cells: ClassVar[tuple[str, ...]] = ("where",)
    """Its fields that name cells."""


class MetricClaim(Claim):
    """Of a metric of the study, or of what each picture cost."""

    metric: str


class BestWithin(MetricClaim):
    """The best value of an axis lies from `low` to `high`."""

    kind: Literal["best_within"]
    axis: str
    low: float
    high: float


class FallsBeyond(MetricClaim):
    """Each value of an axis above `beyond` is worse than that value itself."""

    kind: Literal["falls_beyond"]
    axis: str
    beyond: float


class PairClaim(Claim):
    """Of one cell against another; where a cell names several values, or not all axes, the mean of them counts."""

    of: Cell
    than: Cell
    cells: ClassVar[tuple[str, ...]] = ("where", "of", "than")


class Greater(PairClaim, MetricClaim):
    """of > times*than + by."""

    kind: Literal["greater"]
    by: float = 0.0
    times: float = 1.0


class GreaterAtEqual(PairClaim, MetricClaim):
    """`of` and `than` are curves of several cells: its metric is above the other's where they have as much of `equal`."""

    kind: Literal["greater_at_equal"]
    equal: str
    """A metric, such as distance_unguided, or `cost`."""


class Equal(PairClaim, MetricClaim):
    """The two differ by less than `within`, and the seeds are enough to say so."""

    kind: Literal["equal"]
    within: float = Field(gt=0)


class NeverAbove(PairClaim, MetricClaim):
    """At no value of an axis is `of` above `than`, a control, by `by` or more, and the seeds are enough to say so."""

    kind: Literal["never_above"]
    axis: str
    by: float = Field(gt=0)


class SamePictures(PairClaim):
    """Seed by seed no value of any pixel differs by more than `within`, of 255."""

    kind: Literal["same_pictures"]
    within: int = Field(2, ge=0, le=255)


class DifferentPictures(PairClaim):
    """Seed by seed the distance (root mean square, pixels in -1..1) is above `by`, on average."""

    kind: Literal["different_pictures"]
    by: float = Field(0.02, ge=0)


class DifferentSeeds(Claim):
    """Pictures of neighboring seeds are further apart, to the judge, than `times` a picture from itself slightly changed.

    Slightly: shifted by a sixteenth of its width, brightened by a tenth, and compressed. Cosine distances of features.
    """

    kind: Literal["different_seeds"]
    times: float = Field(1.0, gt=0)
    by: float | None = Field(None, ge=0)
    """Of older files: judged in pixels instead, all pairs further apart than this (root mean square, -1..1)."""


KINDS: dict[str, type[Claim]] = {
    "best_within": BestWithin,
    "falls_beyond": FallsBeyond,
    "greater": Greater,
    "greater_at_equal": GreaterAtEqual,
    "equal": Equal,
    "never_above": NeverAbove,
    "same_pictures": SamePictures,
    "different_pictures": DifferentPictures,
    "different_seeds": DifferentSeeds,
}


def parse_claims(study: Study) -> tuple[Claim, ...]:
    """Those of a study. ConfigError for an unknown kind, field, axis, value or metric, with the nearest known one."""
    return tuple(parse_claim(study, found) for found in study.claims)


def parse_claim(study: Study, found: Mapping[str, Any]) -> Claim:
    """One of a study's claims, from its table."""
    what = f"claim {str(found.get('says', ''))[:60]!r}"
    kind = found.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        near = nearest(str(kind), KINDS)
        raise ConfigError(f"{what}: kind {kind!r} is unknown; known: {', '.join(KINDS)}{near}")
    made = KINDS[kind].from_mapping(found, what)
    for mistake in _mistakes(made, study):
        raise ConfigError(f"{what}: {mistake}")
    if made.given:
        parse_claim(study, {"says": f"{made.says} (given)", **made.given})
    return made


def condition(study: Study, asked: Claim) -> Claim | None:
    """What must hold for a claim to be confirmed."""
    return parse_claim(study, {"says": asked.says, **asked.given}) if asked.given else None


def higher_is_better(metric: str) -> bool | None:
    """Whether more is better."""
    return False if metric in COUNTED else get_metrics([metric])[0].higher


def _mistakes(asked: Claim, study: Study) -> Iterator[str]:
    for field in ("metric", "equal"):
        if name := getattr(asked, field, ""):
            yield from _unknown_metric(field, name, study)
    known = _axis_values(study)
    axis = getattr(asked, "axis", None)
    if axis is not None and axis not in known:
        yield f"the study has no axis {axis!r}{nearest(axis, known)}"
    elif isinstance(asked, BestWithin | FallsBeyond):
        yield from _directionless(asked.metric)
        if not all(isinstance(value, (int, float)) for value in known[asked.axis]):
            yield f"the values of {asked.axis} are no numbers, so none of them lies within or beyond any"
        elif isinstance(asked, FallsBeyond) and asked.beyond not in known[asked.axis]:
            yield f"{asked.axis} has no value {asked.beyond:g}; it has {_join_values(known[asked.axis])}"
    for field in asked.cells:
        yield from _unknown_cell(field, getattr(asked, field), known)


def _axis_values(study: Study) -> dict[str, list[Scalar]]:
    return {name: list(values) for table in study.tables for name, values in table.items()}


def _unknown_metric(field: str, name: str, study: Study) -> Iterator[str]:
    known = [*study.metrics, *COUNTED]
    if name not in known:
        yield f"{field} {name!r} is not among the study's metrics{nearest(name, known)}"
    elif name not in COUNTED and get_metrics([name])[0].of_set:
        yield f"{field} {name!r} is a number of a whole set, and claims are judged from pictures"


def _directionless(name: str) -> Iterator[str]:
    if higher_is_better(name) is None:
        yield f"of {name} neither more nor less is better, so nothing is best"


def _unknown_cell(field: str, cell: Cell, known: Mapping[str, list[Scalar]]) -> Iterator[str]:
    for axis, value in cell.items():
        if axis not in known:
            yield f"{field}: the study has no axis {axis!r}{nearest(axis, known)}"
            continue
        for one in value if isinstance(value, tuple) else (value,):
            if one not in known[axis]:
                there = (
                    nearest(str(one), [str(v) for v in known[axis]])
                    or f"; it has {_join_values(known[axis])}"
                )
                yield f"{field}: {axis} has no value {one!r}{there}"


def _join_values(values: list[Scalar]) -> str:
    return ", ".join(map(str, values))
