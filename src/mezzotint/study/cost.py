"""How long a study will take: rates of this machine, measured once for each kind of picture and remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from mezzotint.engine import Engine, Mode, Network, Stats
from mezzotint.files import default_cache, key_of, read_json_quietly, remember
from mezzotint.guidance import Cfg, Guidance
from mezzotint.planning import Plan
from mezzotint.request import Request
from mezzotint.store import precision_of

_PROBES, _STEPS = 4, 2  # pictures and steps of a measurement


@dataclass(frozen=True)
class Rates:
    """Seconds of one kind of picture, in company."""

    row: float  # of a network call
    act: float  # of a gradient term at a call
    picture: float  # the rest: texts, decoder, and what there is between

    @classmethod
    def between(cls, before: Stats, after: Stats, acts: int) -> Rates:
        """From what an engine did meanwhile, with so many acts of gradient terms."""
        network, steering = after.network - before.network, after.steering - before.steering
        rest = after.busy - before.busy - network - steering
        rows, pictures = after.rows - before.rows, after.pictures - before.pictures
        return cls(network / max(1, rows), steering / max(1, acts), rest / max(1, pictures))


def count_steering(plan: Plan) -> int:
    """How often a gradient term acts."""
    return int(np.count_nonzero(plan.steer))


def rates_key(network: Network, mode: Mode, request: Request) -> str:
    """What decides the rates, as the name of a note in the cache."""
    steers = sorted(
        [type(t).__name__, t.through, getattr(t, "cutouts", 0), getattr(t, "decoder", "")]
        for t in request.terms.steers
    )
    threads = getattr(network, "threads", 0)
    size = request.width, request.height, bool(request.lora)
    return key_of(network.digest, precision_of(network), network.device, threads, mode, size, steers)


def measure_rates(network: Network, mode: Mode, request: Request, cache: Path | None = None) -> Rates:
    """Remembered, or measured on a few short pictures."""
    note = (cache or default_cache()) / "rates" / f"{rates_key(network, mode, request)}.json"
    try:
        return Rates(**{name: float(value) for name, value in read_json_quietly(note).items()})
    except (TypeError, ValueError):
        found = _measure(network, mode, request)
    remember(note, asdict(found))
    return found


def _measure(network: Network, mode: Mode, request: Request) -> Rates:
    probes = probe_request(request).repeat(_PROBES)
    with Engine(network, mode) as engine:
        for future in engine.submit_all(probes):  # compiles, and opens what the terms need
            future.result()
        before = engine.stats
        for future in engine.submit_all(probes):
            future.result()
        return Rates.between(before, engine.stats, count_steering(engine.check(probes[0])) * _PROBES)


def probe_request(request: Request) -> Request:
    """A short request of the same kind, in which every term acts at every step."""
    terms = request.terms.terms
    first = next((term for term in terms if isinstance(term, Cfg)), None)
    always = [replace(t, start=0.0, stop=1.0) for t in terms if t is first or not isinstance(t, Cfg)]  # type: ignore[type-var]
    begin = min(request.begin, 1)
    return replace(request, seed=0, steps=_STEPS + begin, begin=begin, guidance=Guidance(tuple(always)))


def estimate_seconds(plans: Sequence[Plan], rows: int, by: Rates) -> float:
    """Of pictures of one kind that take so many rows in all."""
    return rows * by.row + sum(map(count_steering, plans)) * by.act + len(plans) * by.picture
