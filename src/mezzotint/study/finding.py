"""What numbers say about a claim: confirmed, refuted, or undecided, and how many seeds more would tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from mezzotint.stats import COVERAGE, Estimate, seeds_to_tell

Verdict = Literal["confirmed", "refuted", "undecided"]
Source = Literal["report", "ours"]
VERDICTS: tuple[Verdict, ...] = ("confirmed", "refuted", "undecided")
LEAST = min(COVERAGE)  # values under which nobody has measured how often an interval holds the truth
MOST = 10_000  # seeds above which nobody would draw them


@dataclass(frozen=True)
class Finding:
    """One claim, and what our numbers say. `source`: the studied report, or this project."""

    claim: str
    verdict: Verdict
    evidence: str
    source: Source = "ours"


def verdict(holds: bool, refuted: bool) -> Verdict:
    """Undecided where the numbers exclude neither the claim nor its opposite."""
    return "confirmed" if holds else "refuted" if refuted else "undecided"


def verdict_of_mean(found: Estimate, bound: float, sign: int = 1) -> Verdict:
    """Of the claim that a mean is above a bound (`sign` -1: below), by its 95 % interval.

    Refuted where the whole interval is on the other side or on the bound; undecided under `LEAST` values.
    """
    if found.n < LEAST:
        return "undecided"
    near, far = (found.low, found.high) if sign > 0 else (found.high, found.low)
    return verdict(sign * (near - bound) > 0, sign * (far - bound) <= 0)


def seeds_needed(found: Estimate, bounds: Sequence[float], of: str = "seeds") -> str:
    """How many values more would tell on which side of the nearest bound the mean lies, as a clause."""
    if found.n < LEAST:
        return f"undecided: {found.n} {of} have a value, at least {LEAST} are needed"
    bound = min(bounds, key=lambda one: abs(found.mean - one))
    least = seeds_to_tell(found, bound)
    if not math.isfinite(least) or least > MOST:
        return f"undecided: the mean lies so near to the bound that {MOST:,} {of} would not tell"
    return f"undecided: about {_round_up(max(1, least - found.n))} {of} more would tell"


def _round_up(count: float) -> str:
    """To two digits: nobody knows a number of seeds better."""
    digits = max(0, len(str(int(count))) - 2)
    return f"{math.ceil(count / 10**digits) * 10**digits:,}"


STYLE = """
table.claims td:first-child { width:32%; } td.verdict { white-space:nowrap; font-weight:600; }
.confirmed { color:#3f6f3c; } .refuted { color:#b3402a; } .undecided { color:var(--faint); }
"""


def claims_table(findings: Sequence[Finding], sources: bool = False) -> str:
    """What is said, the verdict, and the evidence for it; `sources`: and who says so. The style is `STYLE`."""
    said = {"report": "the report", "ours": "ours"}
    rows = [
        f"<tr><td>{escape(one.claim)}</td>"
        + (f"<td>{said[one.source]}</td>" if sources else "")
        + f'<td class="verdict {one.verdict}">{escape(one.verdict)}</td><td>{escape(one.evidence)}</td></tr>'
        for one in findings
    ]
    head = f"<tr><th>claim</th>{'<th>whose</th>' if sources else ''}<th>verdict</th><th>what the numbers say</th></tr>"
    return f'<table class="claims">{head}{"".join(rows)}</table>' if rows else ""
