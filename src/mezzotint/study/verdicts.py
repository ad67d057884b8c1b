"""What the numbers of a study say about its claims. The unit is the seed, as everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from mezzotint.stats import Estimate, Paired, best, interval, tail
from mezzotint.study import claims
from mezzotint.study.claims import Claim, condition, higher_is_better
from mezzotint.study.evidence import Curve, Evidence
from mezzotint.study.finding import LEAST, Finding, Verdict, seeds_needed, verdict, verdict_of_mean

SURE = 0.95  # of bootstrap draws
_POINTS = 9  # at which two curves are compared


class Judgment(NamedTuple):
    """A verdict, and why."""

    verdict: Verdict
    why: str


def judge(claim: Claim, evidence: Evidence) -> Finding:
    """What the numbers say about one claim.

    Where its condition does not hold it cannot be confirmed; what refutes it by itself still does.
    """
    found, why = _KINDS[claim.kind](claim, evidence.where(claim.where))
    if needed := condition(evidence.study, claim):
        first = judge(needed, evidence)
        if first.verdict != "confirmed":
            found = "refuted" if found == "refuted" else "undecided"
            why = f"{why} Its condition is {first.verdict}: {first.evidence}"
    return Finding(claim.says, found, why, claim.source)


def _best_within(claim: claims.BestWithin, evidence: Evidence) -> Judgment:
    rows = [
        replace(row, metrics={**row.metrics, claim.metric: evidence.values(row, claim.metric)})
        for row in evidence.table
    ]
    paired = Paired.of(rows, claim.axis, claim.metric)
    if len(paired.seeds) < LEAST:
        return _too_few(len(paired.seeds))
    found = best(paired, bool(higher_is_better(claim.metric)))
    inside = [claim.low <= float(str(name)) <= claim.high for name in paired.names]
    share = sum(found.shares[name] for name, here in zip(paired.names, inside, strict=True) if here)
    range_ = f"at {claim.low:g}" if claim.low == claim.high else f"from {claim.low:g} to {claim.high:g}"
    said = f"{claim.metric} is best at {found.name} ({found.mean:.3g}); its best lies {range_} in {share:.0%} of draws"
    decided = verdict(share >= SURE, share <= 1 - SURE)
    doubt = (
        ""
        if decided != "undecided"
        else _what_is_needed(decided, _lead(paired, inside, bool(higher_is_better(claim.metric))), 0)
    )
    return Judgment(decided, f"{said}{doubt} (n = {len(paired.seeds)} seeds).")


def _lead(paired: Paired, inside: list[bool], more: bool) -> Estimate:
    """How far the best setting inside a range is above the best outside it, on the same seeds."""
    values = paired.values if more else -paired.values
    here = np.array(inside)
    if here.all() or not here.any():
        return interval([])
    one, other = (part[part.mean(1).argmax()] for part in (values[here], values[~here]))
    return interval(one - other)


def _falls_beyond(claim: claims.FallsBeyond, evidence: Evidence) -> Judgment:
    """The best beyond decides: each must be worse, so no correction for their number is due."""
    sign = 1 if higher_is_better(claim.metric) else -1
    there, axis = claim.beyond, claim.axis
    found = {
        value: evidence.difference({axis: value}, {axis: there}, claim.metric)
        for value in evidence.group(axis)
        if float(str(value)) > there
    }
    found = {value: one for value, one in found.items() if one.n >= LEAST}
    if not found:
        return _too_few(0)
    value, one = max(found.items(), key=lambda item: item[1].high if sign > 0 else -item[1].low)
    better = {v: e for v, e in found.items() if (e.low > 0 if sign > 0 else e.high < 0)}
    if better:  # one that is surely better refutes, whatever the others are
        value, one = next(iter(better.items()))
    decided = verdict(one.high < 0 if sign > 0 else one.low > 0, bool(better))
    said = f"{claim.metric} at {value}, the best beyond {there:g}, less that at {there:g}: {format_estimate(one)}"
    return Judgment(decided, f"{said}{_what_is_needed(decided, one, 0)}.")


def _greater(claim: claims.Greater, evidence: Evidence) -> Judgment:
    found = evidence.difference(claim.of, claim.than, claim.metric, claim.times)
    if found.n < LEAST:
        return _too_few(found.n)
    of, than = (evidence.where(side).mean(claim.metric) for side in (claim.of, claim.than))
    less = f"; less {claim.times:g} times that: " if claim.times != 1 else "; the difference is "
    bar = f", where more than {claim.by:g} is claimed" if claim.by else ""
    said = f"{claim.metric} is {of:.3g} against {than:.3g}{less}{format_estimate(found)}{bar}"
    decided = verdict_of_mean(found, claim.by)
    return Judgment(decided, f"{said}{_what_is_needed(decided, found, claim.by)}.")


def _greater_at_equal(claim: claims.GreaterAtEqual, evidence: Evidence) -> Judgment:
    curves = [Curve.of(evidence, side, claim.equal, claim.metric) for side in (claim.of, claim.than)]
    seeds = sorted(set(curves[0].seeds) & set(curves[1].seeds))
    if len(seeds) < LEAST:
        return _too_few(len(seeds))
    of, than = (curve.of_seeds(seeds) for curve in curves)
    low, high = max(of.ends[0], than.ends[0]), min(of.ends[1], than.ends[1])
    if low >= high:
        spans = " and ".join(f"{a:.3g} to {b:.3g}" for a, b in (of.ends, than.ends))
        return Judgment(
            "undecided",
            f"The two never have as much {claim.equal}: {spans}; other settings would tell, no seeds.",
        )
    at = np.linspace(low, high, _POINTS)
    wide = tail(len(seeds))
    tails = np.percentile((of.bootstrap(at) - than.bootstrap(at)).mean(1), [wide, 100 - wide])
    found = Estimate(
        float((of.mean(at) - than.mean(at)).mean()), float(tails[0]), float(tails[1]), len(seeds)
    )
    said = f"{claim.metric} at equal {claim.equal}, from {low:.3g} to {high:.3g}, differs by {format_estimate(found)}"
    decided = verdict_of_mean(found, 0)
    return Judgment(decided, f"{said}{_what_is_needed(decided, found, 0)}.")


def _equal(claim: claims.Equal, evidence: Evidence) -> Judgment:
    found = evidence.difference(claim.of, claim.than, claim.metric)
    if found.n < LEAST:
        return _too_few(found.n)
    said = f"{claim.metric} differs by {format_estimate(found)}; alike is within {claim.within:g}"
    apart = found.low > claim.within or found.high < -claim.within
    holds = -claim.within < found.low and found.high < claim.within
    decided = verdict(holds, apart)
    return Judgment(decided, f"{said}{_what_is_needed(decided, found, -claim.within, claim.within)}.")


def _never_above(claim: claims.NeverAbove, evidence: Evidence) -> Judgment:
    """The largest decides: each must lie below, so no correction for their number is due."""
    groups = evidence.group(claim.axis).items()
    found = {value: part.difference(claim.of, claim.than, claim.metric) for value, part in groups}
    found = {value: one for value, one in found.items() if one.n >= LEAST}
    if not found:
        return _too_few(0)
    above = {value: one for value, one in found.items() if one.low > claim.by}
    value, most = max((above or found).items(), key=lambda one: one[1].high)
    at = f"at {claim.axis} {value}; above is {claim.by:g}"
    said = f"{claim.metric} is above its control's by at most {format_estimate(most)}, {at}"
    decided = verdict(most.high < claim.by, bool(above))
    return Judgment(decided, f"{said}{_what_is_needed(decided, most, claim.by)}.")


def _same_pictures(claim: claims.SamePictures, evidence: Evidence) -> Judgment:
    found = [evidence.largest_difference(*two) for two in evidence.pairs(claim.of, claim.than)]
    if not found:
        return _too_few(0)
    said = f"The largest difference of any pixel is {max(found):g} of 255, in {len(found)} pairs of pictures."
    return Judgment(verdict(max(found) <= claim.within, max(found) > claim.within), said)


def _different_pictures(claim: claims.DifferentPictures, evidence: Evidence) -> Judgment:
    pairs = evidence.pairs(claim.of, claim.than)
    by_seed: dict[int, list[float]] = {row.seed: [] for row, _ in pairs}
    for row, other in pairs:
        by_seed[row.seed].append(evidence.rms_distance(row, other))
    found = interval([float(np.mean(values)) for values in by_seed.values()])
    if found.n < LEAST:
        return _too_few(found.n)
    said = f"The pictures are {format_estimate(found)} apart, root mean square of pixels in -1..1; different is {claim.by:g}"
    decided = verdict_of_mean(found, claim.by)
    return Judgment(decided, f"{said}{_what_is_needed(decided, found, claim.by)}.")


def _different_seeds(claim: claims.DifferentSeeds, evidence: Evidence) -> Judgment:
    """Pixels of one picture, shifted, are far apart too: so the judge's features decide, and that shift is the measure."""
    pairs = list(evidence.neighbors())
    if len(pairs) + 1 < LEAST:
        return _too_few(len(pairs) + 1)
    if claim.by is not None:
        nearest = min(evidence.rms_distance(*two) for two in pairs)
        said = f"Of {len(pairs)} pairs of seeds the nearest are {nearest:.3g} apart, root mean square of pixels in -1..1"
        return Judgment(
            verdict(nearest > claim.by, nearest <= claim.by), f"{said}; different is {claim.by:g}."
        )
    apart, same = evidence.feature_distances(pairs)
    found = interval(np.asarray(apart) - claim.times * np.asarray(same))
    said = (
        f"In the judge's features (cosine distance) seeds are {np.mean(apart):.3g} apart, and a picture is {np.mean(same):.3g} "
        f"from itself shifted, brightened and compressed; less {claim.times:g} times that: {format_estimate(found, 'pairs')}"
    )
    decided = verdict_of_mean(found, 0)
    return Judgment(decided, f"{said}{_what_is_needed(decided, found, 0)}.")


def format_estimate(found: Estimate, of: str = "seeds") -> str:
    """With its interval and n."""
    return f"{found.mean:.3g} ({found.low:.3g} to {found.high:.3g}, n = {found.n} {of})"


def _what_is_needed(decided: Verdict, found: Estimate, *bounds: float) -> str:
    """What else there is to say of a verdict that is no confirmation."""
    said = {"confirmed": "", "refuted": "; it says the opposite"}
    return said[decided] if decided in said else f"; {seeds_needed(found, bounds)}"


def _too_few(seeds: int) -> Judgment:
    return Judgment(
        "undecided", f"{seeds} seeds have a value of all that is compared; a verdict needs {LEAST}."
    )


_KINDS: dict[str, Callable[[Any, Evidence], Judgment]] = {
    "best_within": _best_within,
    "falls_beyond": _falls_beyond,
    "greater": _greater,
    "greater_at_equal": _greater_at_equal,
    "equal": _equal,
    "never_above": _never_above,
    "same_pictures": _same_pictures,
    "different_pictures": _different_pictures,
    "different_seeds": _different_seeds,
}
