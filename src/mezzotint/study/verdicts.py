"""What the numbers of a study say about its claims. The unit is the seed, as everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from mezzotint.evaluation.statistics import COVERAGE, Estimate, Paired, best, interval, tail
from mezzotint.study import claims
from mezzotint.study.claims import Claim, condition, higher
from mezzotint.study.evidence import Curve, Evidence
from mezzotint.study.paper.section import Finding, Verdict

SURE = 0.95  # of bootstrap draws
_POINTS = 9  # at which two curves are compared
_FEW = min(COVERAGE)  # seeds under which nobody has measured how often an interval holds the truth


class Said(NamedTuple):
    """Whether it holds (None: nothing can be said), and why."""

    holds: bool | None
    why: str


def judged(claim: Claim, evidence: Evidence) -> Finding:
    """What the numbers say about one claim; where its condition does not hold, that it cannot be tested."""
    if needed := condition(evidence.study, claim):
        found = judged(needed, evidence)
        if found.verdict != "confirmed":
            return Finding(claim.says, "not testable here", f"Its condition does not hold: {found.evidence}")
    holds, why = _KINDS[claim.kind](claim, evidence.where(claim.where))
    verdicts: dict[bool | None, Verdict] = {
        True: "confirmed",
        False: "not confirmed",
        None: "not testable here",
    }
    return Finding(claim.says, verdicts[holds], why)


def _best_within(claim: claims.BestWithin, evidence: Evidence) -> Said:
    rows = [
        replace(row, metrics={**row.metrics, claim.metric: evidence.values(row, claim.metric)})
        for row in evidence.table
    ]
    paired = Paired.of(rows, claim.axis, claim.metric)
    if len(paired.seeds) < _FEW:
        return _too_few(len(paired.seeds))
    found = best(paired, bool(higher(claim.metric)))
    share = sum(s for name, s in found.shares.items() if claim.low <= float(str(name)) <= claim.high)
    range_ = f"at {claim.low:g}" if claim.low == claim.high else f"from {claim.low:g} to {claim.high:g}"
    said = f"{claim.metric} is best at {found.name} ({found.mean:.3g}); its best lies {range_} in {share:.0%} of draws"
    doubt = ", which decides nothing" if 1 - SURE < share < SURE else ""
    return Said(share >= SURE, f"{said}{doubt} (n = {len(paired.seeds)} seeds).")


def _falls_beyond(claim: claims.FallsBeyond, evidence: Evidence) -> Said:
    """The best beyond decides: each must be worse, so no correction for their number is due."""
    sign = 1 if higher(claim.metric) else -1
    there, axis = claim.beyond, claim.axis
    found = {
        value: evidence.difference({axis: value}, {axis: there}, claim.metric)
        for value in evidence.group(axis)
        if float(str(value)) > there
    }
    found = {value: one for value, one in found.items() if one.n >= _FEW}
    if not found:
        return _too_few(0)
    value, one = max(found.items(), key=lambda item: item[1].high if sign > 0 else -item[1].low)
    worse = one.high < 0 if sign > 0 else one.low > 0
    better = one.low > 0 if sign > 0 else one.high < 0
    said = f"{claim.metric} at {value}, the best beyond {there:g}, less that at {there:g}: {shown(one)}"
    return Said(worse, f"{said}{_doubt(worse, better)}.")


def _greater(claim: claims.Greater, evidence: Evidence) -> Said:
    found = evidence.difference(claim.of, claim.than, claim.metric, claim.times)
    if found.n < _FEW:
        return _too_few(found.n)
    of, than = (evidence.where(side).mean(claim.metric) for side in (claim.of, claim.than))
    less = f"; less {claim.times:g} times that: " if claim.times != 1 else "; the difference is "
    bar = f", where more than {claim.by:g} is claimed" if claim.by else ""
    said = f"{claim.metric} is {of:.3g} against {than:.3g}{less}{shown(found)}{bar}"
    return Said(found.low > claim.by, f"{said}{_doubt(found.low > claim.by, found.high < claim.by)}.")


def _greater_at_equal(claim: claims.GreaterAtEqual, evidence: Evidence) -> Said:
    curves = [Curve.of(evidence, side, claim.equal, claim.metric) for side in (claim.of, claim.than)]
    seeds = sorted(set(curves[0].seeds) & set(curves[1].seeds))
    if len(seeds) < _FEW:
        return _too_few(len(seeds))
    of, than = (curve.at(seeds) for curve in curves)
    low, high = max(of.ends[0], than.ends[0]), min(of.ends[1], than.ends[1])
    if low >= high:
        spans = " and ".join(f"{a:.3g} to {b:.3g}" for a, b in (of.ends, than.ends))
        return Said(None, f"The two never have as much {claim.equal}: {spans}.")
    at = np.linspace(low, high, _POINTS)
    wide = tail(len(seeds))
    tails = np.percentile((of.drawn(at) - than.drawn(at)).mean(1), [wide, 100 - wide])
    found = Estimate(
        float((of.mean(at) - than.mean(at)).mean()), float(tails[0]), float(tails[1]), len(seeds)
    )
    said = f"{claim.metric} at equal {claim.equal}, from {low:.3g} to {high:.3g}, differs by {shown(found)}"
    return Said(found.low > 0, f"{said}{_doubt(found.low > 0, found.high < 0)}.")


def _equal(claim: claims.Equal, evidence: Evidence) -> Said:
    found = evidence.difference(claim.of, claim.than, claim.metric)
    if found.n < _FEW:
        return _too_few(found.n)
    said = f"{claim.metric} differs by {shown(found)}; alike is within {claim.within:g}"
    apart = found.low > claim.within or found.high < -claim.within
    holds = -claim.within < found.low and found.high < claim.within
    return Said(holds, f"{said}{_doubt(holds, apart)}.")


def _never_above(claim: claims.NeverAbove, evidence: Evidence) -> Said:
    """The largest decides: each must lie below, so no correction for their number is due."""
    groups = evidence.group(claim.axis).items()
    found = {value: part.difference(claim.of, claim.than, claim.metric) for value, part in groups}
    found = {value: one for value, one in found.items() if one.n >= _FEW}
    if not found:
        return _too_few(0)
    value, most = max(found.items(), key=lambda one: one[1].high)
    said = f"{claim.metric} is above its control's by at most {shown(most)}, at {claim.axis} {value}; above is {claim.by:g}"
    above = any(one.low > claim.by for one in found.values())
    return Said(most.high < claim.by, f"{said}{_doubt(most.high < claim.by, above)}.")


def _same_pictures(claim: claims.SamePictures, evidence: Evidence) -> Said:
    found = [evidence.largest(*two) for two in evidence.pairs(claim.of, claim.than)]
    if not found:
        return _too_few(0)
    said = f"The largest difference of any pixel is {max(found):g} of 255, in {len(found)} pairs of pictures."
    return Said(max(found) <= claim.within, said)


def _different_pictures(claim: claims.DifferentPictures, evidence: Evidence) -> Said:
    pairs = evidence.pairs(claim.of, claim.than)
    by_seed: dict[int, list[float]] = {row.seed: [] for row, _ in pairs}
    for row, other in pairs:
        by_seed[row.seed].append(evidence.apart(row, other))
    found = interval([float(np.mean(values)) for values in by_seed.values()])
    if found.n < _FEW:
        return _too_few(found.n)
    said = f"The pictures are {shown(found)} apart, root mean square of pixels in -1..1; different is {claim.by:g}"
    return Said(found.low > claim.by, f"{said}{_doubt(found.low > claim.by, found.high < claim.by)}.")


def _different_seeds(claim: claims.DifferentSeeds, evidence: Evidence) -> Said:
    found = list(evidence.neighbors())
    if not found:
        return _too_few(1)
    said = f"Of {len(found)} pairs of seeds the nearest are {min(found):.3g} apart, root mean square of pixels in -1..1"
    return Said(min(found) > claim.by, f"{said}; different is {claim.by:g}.")


def shown(found: Estimate) -> str:
    """With its interval and n."""
    return f"{found.mean:.3g} ({found.low:.3g} to {found.high:.3g}, n = {found.n} seeds)"


def _doubt(holds: bool, opposite: bool) -> str:
    """Where it does not hold: whether the seeds say the opposite, or nothing."""
    return "" if holds else ", which is the opposite" if opposite else ", which decides nothing"


def _too_few(seeds: int) -> Said:
    return Said(None, f"{seeds} seeds have a value of all that is compared; a verdict needs {_FEW}.")


_KINDS: dict[str, Callable[[Any, Evidence], Said]] = {
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
