"""What CLIP guidance costs: guided against unguided requests, and the community pipeline of diffusers beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from mezzotint.bench.community import CommunityPipeline
from mezzotint.bench.diffusers_baseline import require_diffusers_model, require_packages
from mezzotint.bench.mezzotint_side import SideResult, run_mezzotint
from mezzotint.bench.timing import alternate
from mezzotint.machine import machine
from mezzotint.models import Model, open_model
from mezzotint.request import Request

Say = Callable[[str], None]
TERM = 'clip("a red rose", 100, cutouts={cutouts}, model="{clip}")'


def run_steering(
    model: str = "emoji",
    clip: str = "clip",
    steps: int = 20,
    repeats: int = 5,
    together: int = 16,
    cutouts: int = 4,
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Seconds of guided over unguided runs, interleaved: one picture, and `together` at once.

    Both have classifier-free guidance; the gradient takes the route through x0. Beside them the published loop, one
    picture at a time with the gradient through the UNet, on the same weights, for the same steps.
    ConfigError where the model reads no text.
    """
    require_packages(model)
    say(f"opening {model}")
    opened = require_diffusers_model(open_model(model))
    base = Request("a cat", steps=steps, sampler="ddim", guidance="cfg(7.5)")
    term = TERM.format(cutouts=cutouts, clip=clip)
    result: dict[str, Any] = {
        "machine": machine(), "model": opened.name, "dtype": opened.dtype, "clip": clip, "steps": steps, "cutouts": cutouts,
    }  # fmt: skip
    for name, count in (("one_picture", 1), ("together", together)):
        if count == 0:
            continue
        say(f"{name.replace('_', ' ')}: {repeats} of each in turn")
        plain = [replace(base, seed=i) for i in range(count)]
        guided = [replace(r, guidance=f"cfg(7.5) + {term}") for r in plain]
        run_mezzotint(opened, guided), run_mezzotint(opened, plain)
        pairs, a, _ = alternate(partial(_run, opened, guided), partial(_run, opened, plain), repeats)
        steering = sum(work.stats.steering for work in a) / sum(work.stats.busy for work in a)
        result[name] = {
            "pictures": count,
            "guided_s": median(pairs.ours),
            "plain_s": median(pairs.theirs),
            "ratio": pairs.ratio,
            "paired_ratios": sorted(pairs.ratios),
            "steering_share": steering,
        }
    say("the community pipeline")
    result["community"] = _community(opened.path, clip, base, cutouts, result["one_picture"])
    return result


def _run(model: Model, requests: list[Request], _: int) -> SideResult:
    return run_mezzotint(model, requests)


def _community(folder: Path, clip: str, base: Request, cutouts: int, one: dict[str, Any]) -> dict[str, Any]:
    other = CommunityPipeline(folder, clip)
    other(base.prompt, "a red rose", min(2, base.steps), cutouts)
    guided, plain = (other(base.prompt, text, base.steps, cutouts) for text in ("a red rose", None))
    return {
        "guided_s": guided,
        "plain_s": plain,
        "ratio": guided / plain,
        "ours_over_theirs": one["guided_s"] / guided,
    }
