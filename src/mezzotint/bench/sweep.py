"""A sweep of guidance scales over seeds: one engine against diffusers one by one, and what shared beginnings save."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from mezzotint.bench.diffusers_baseline import DiffusersBaseline, require_diffusers_model, require_packages
from mezzotint.bench.likeness import likeness
from mezzotint.bench.mezzotint_side import run_mezzotint, warm_up
from mezzotint.bench.requests import SAMPLER
from mezzotint.bench.timing import alternate
from mezzotint.machine import machine
from mezzotint.models import open_model
from mezzotint.request import Request

Say = Callable[[str], None]
PROMPT, LATE = "a red apple", 0.25  # from which share of the steps guidance acts, where beginnings are shared


def run_sweep(
    model: str = "emoji",
    scales: int = 20,
    seeds: int = 32,
    steps: int = 20,
    rounds: int = 4,
    sample: int = 10,
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Seconds of scales*seeds pictures, in turn with `sample` pictures of diffusers for each of the rounds.

    Diffusers' pictures are spread over the round, and its seconds counted for as many evaluations as ours, which all
    pictures need alike. ConfigError where the model reads no text.
    """
    require_packages(model)
    say(f"opening {model}")
    opened = require_diffusers_model(open_model(model, dtype="float32"))
    peer = DiffusersBaseline(opened.path, opened.dtype, opened.threads)
    warm_up(opened)
    blocks = [_block(seeds * i // rounds, seeds * (i + 1) // rounds, scales, steps) for i in range(rounds)]
    samples = [block[:: max(1, len(block) // sample)][:sample] for block in blocks]
    peer(samples[0][:1])
    say(f"{scales} scales of {seeds} seeds, in {rounds} rounds")
    pairs, a, b = alternate(lambda i: run_mezzotint(opened, blocks[i]), lambda i: peer(samples[i]), rounds)
    theirs = [s * x.evaluations / y.evaluations for s, x, y in zip(pairs.theirs, a, b, strict=True)]
    ratios = [s / t for s, t in zip(pairs.ours, theirs, strict=True)]
    rounds_made = zip(blocks, a, samples, b, strict=True)
    both = {
        request: (work.images[block.index(request)], image)
        for block, work, some, other in rounds_made
        for request, image in zip(some, other.images, strict=True)
    }
    return {
        "machine": machine(), "model": opened.name, "scales": scales, "seeds": seeds, "steps": steps,
        "mezzotint_s": sum(pairs.ours), "diffusers_s": sum(theirs), "diffusers_sample": sample * rounds,
        "evaluations": sum(work.evaluations for work in a), "ratio": median(ratios), "ratios": sorted(ratios),
        "psnr": likeness(both, opened.schedule)["all"], "late": _late(opened, blocks[0], say),
    }  # fmt: skip


def _late(opened: Any, block: Sequence[Request], say: Say) -> dict[str, Any]:
    """The same scales from a quarter of the steps on: all of one seed share what comes before."""
    say("shared beginnings")
    late = [replace(r, guidance=f"cfg({r.terms.scales(r.steps)[0]:g}, start={LATE})") for r in block]
    apart, shared = run_mezzotint(opened, late), run_mezzotint(opened, late, share=True)
    return {
        "pictures": len(late), "from": LATE, "rows_apart": apart.stats.rows, "rows_shared": shared.stats.rows,
        "seconds_apart": apart.stats.busy, "seconds_shared": shared.stats.busy,
    }  # fmt: skip


def _block(first: int, last: int, scales: int, steps: int) -> list[Request]:
    return [
        Request(PROMPT, seed=seed, steps=steps, sampler=SAMPLER, guidance=f"cfg({1 + i})", compat="diffusers")
        for seed in range(first, last)
        for i in range(scales)
    ]
