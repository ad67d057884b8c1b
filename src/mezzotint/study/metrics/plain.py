"""How far guidance moved a picture: its distance to the picture of the same request with less guidance.

Two pictures to compare with, and both are requests, so that they are drawn once and kept like any other:
`unguided` follows the prompt alone, so every mechanism is measured from the same point; `unsteered` keeps classifier-free
guidance, so only what gradient terms did is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from mezzotint.guidance import Cfg, Guidance
from mezzotint.guidance.terms import Steer
from mezzotint.picture import Picture
from mezzotint.request import Request
from mezzotint.study.metrics.looks import pixels
from mezzotint.study.metrics.metric import Context, Metric, batches


def without_guidance(request: Request) -> Request:
    """The same with the prediction of the prompt alone: no further prompts, no gradient terms, cfg(1)."""
    read = any(isinstance(term, Cfg) for term in request.terms.terms)
    return replace(request, guidance="cfg(1)" if read else "none")


def without_steering(request: Request) -> Request:
    """The same without its gradient terms."""
    return replace(
        request, guidance=Guidance(tuple(t for t in request.terms.terms if not isinstance(t, Steer)))
    )


def distance(image: Image.Image, other: Image.Image) -> float:
    """Root mean square over pixels in -1..1: the unit of `effect`."""
    return float(np.sqrt(np.mean((pixels(image) - pixels(other)) ** 2)) / 127.5)


def _from(
    plain: Callable[[Request], Request],
) -> Callable[[Sequence[Picture], Context], list[float]]:
    return lambda pictures, context: [
        distance(p.image, context.plain(plain(p.request))) for part in batches(pictures) for p in part
    ]


PLAIN = tuple(
    Metric(
        f"distance_{name}",
        frozenset({"plain"}),
        _from(plain),
        f"root mean square to the same seed {name}, pixels in -1..1",
        None,
        plain=plain,
    )
    for name, plain in (("unguided", without_guidance), ("unsteered", without_steering))
)
