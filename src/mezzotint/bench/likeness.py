"""Whether both sides made the same pictures: the proof that they did the same work."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from mezzotint import metrics
from mezzotint.planning import plan
from mezzotint.request import Request
from mezzotint.schedule import Schedule

IDENTICAL = 150.0  # dB, said of pictures with no pixel apart


def psnr(a: Image.Image, b: Image.Image) -> float:
    """Peak signal-to-noise ratio in dB of two RGB pictures; 0 where their sizes differ."""
    if a.size != b.size:
        return 0.0
    x, y = (np.asarray(image.convert("RGB")) for image in (a, b))
    return min(IDENTICAL, metrics.psnr(x, y))


def likeness(pairs: Mapping[Request, tuple[Image.Image, Image.Image]], schedule: Schedule) -> dict[str, Any]:
    """PSNR in dB of each request's two pictures: of all, without and with noise, by sampler."""
    groups: dict[str, list[float]] = {}
    samplers: dict[str, list[float]] = {}
    for request, (a, b) in pairs.items():
        value = psnr(a, b)
        noisy = bool((plan(request, schedule).noise_std > 0).any())
        for group in ("all", "stochastic" if noisy else "deterministic"):
            groups.setdefault(group, []).append(value)
        samplers.setdefault(request.sampler, []).append(value)
    return {
        **{name: _summary(group) for name, group in groups.items()},
        "samplers": {name: _summary(group) for name, group in sorted(samplers.items())},
    }


def _summary(values: list[float]) -> dict[str, float]:
    return {"pictures": len(values), "median_db": median(values), "min_db": min(values)}
