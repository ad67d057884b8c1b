"""Figure 1: x0 and x_t along a DDIM run, from noise to the picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mezzotint.engine import Network
from mezzotint.pages.figures import Figure, Series, svg
from mezzotint.pages.layout import figure
from mezzotint.paper.made.drawing import Tile, band_series, side_by_side, tiles
from mezzotint.paper.made.making import SectionParts, seeds
from mezzotint.paper.made.verdicts import above, below
from mezzotint.paper.made.walk import WalkState, walk, without_words
from mezzotint.paper.section import PaperSettings, open_cached
from mezzotint.planning import Plan
from mezzotint.request import Request
from mezzotint.study.finding import Finding

STEPS, SHOWN = 40, 10
TOLERANCE = 0.05  # of the first error: a rise that does not count
ASKED = Request(prompt="a red car on a blue background", steps=STEPS, sampler="ddim", guidance="cfg(4)")

Floats = NDArray[np.float64]


def emergence(setting: PaperSettings) -> SectionParts:
    """On the model of pixels, and on that of latents."""
    chosen = seeds(setting, 6)
    html, findings = "", []
    for name in (setting.pixel_model, setting.text_model):
        network = open_cached(name, setting.precision)
        request = ASKED if network.reads_text else without_words(ASKED)
        setting.say(f"{name}: ddim, {STEPS} steps, {len(chosen)} seeds")
        table, states, end = walk(network, request, chosen)
        html += _strips(network, table, states) + _curves(table, states, end)
        findings += _findings(name, table, states, end)
    return SectionParts(html, tuple(findings))


def errors(points: Sequence[NDArray[np.float32]], end: NDArray[np.float32]) -> Floats:
    """(n, steps) root mean squares of what is between each point of a run and its end, against that of the end."""
    scale = np.sqrt(np.square(end, dtype=np.float64).mean((1, 2, 3)))
    far = [np.sqrt(np.square(point - end, dtype=np.float64).mean((1, 2, 3))) / scale for point in points]
    return np.stack(far, 1)


def rises(error: Floats) -> Floats:
    """(n,) the largest rise above the least error before it, as a part of the first error."""
    least = np.minimum.accumulate(error, 1)
    return np.asarray((error - least).max(1) / error[:, 0])


def _findings(name: str, table: Plan, states: Sequence[WalkState], end: NDArray[np.float32]) -> list[Finding]:
    x0, x = errors([s.x0 for s in states], end), errors([s.x for s in states], end)
    half = table.evaluations // 2
    return [
        below(
            f"The picture emerges: x0 comes nearer to it all along the run ({name})",
            rises(x0),
            TOLERANCE,
            "largest rise of the error of x0, as a part of its first error",
            source="report",
        ),
        above(
            f"x0 shows the picture while x_t is still noise ({name})",
            x[:, half] - x0[:, half],
            0,
            f"error of x_t less that of x0 at step {half + 1} of {table.evaluations} "
            f"(sigma/alpha {_ratio(table, half):.3g}), 1 being the picture's own size",
        ),
    ]


def _strips(network: Network, table: Plan, states: Sequence[WalkState]) -> str:
    """Both sides of the first seed, at an even choice of steps."""
    chosen = np.linspace(0, len(states) - 1, SHOWN).round().astype(int)
    rows = []
    for side, said in (
        ("x", "x_t, what the network reads"),
        ("x0", "x0, what it takes the picture to be"),
    ):
        shown = [network.decode(_vp(table, i, side, getattr(states[i], side)[:1])) for i in chosen]
        made = [
            Tile(p, f"step {i + 1}", f"{_ratio(table, i):.3g}") for p, i in zip(shown, chosen, strict=True)
        ]
        rows.append(tiles(made, f"{network.name}: {said}; under each, sigma/alpha"))
    return "".join(rows)


def _vp(table: Plan, i: int, side: str, latents: NDArray[np.float32]) -> NDArray[np.float32]:
    """As it is, of variance preserving size: what is larger would be cut when it is decoded."""
    size = np.hypot(table.alpha[i], table.sigma[i]) if side == "x" else 1.0
    return np.asarray(latents / size, np.float32)


def _curves(table: Plan, states: Sequence[WalkState], end: NDArray[np.float32]) -> str:
    steps = [float(step + 1) for step in table.step]
    series = [
        band_series(name, steps, errors([getattr(s, key) for s in states], end))
        for key, name in (("x0", "x0"), ("x", "x_t"))
    ]
    noise = [Series("", steps, [_ratio(table, i) for i in range(len(steps))])]
    return side_by_side(
        figure("Distance to the finished picture", svg(Figure(series, "step", zero=True), 430, 240), _BANDS),
        figure("Noise to signal, sigma/alpha", svg(Figure(noise, "step", log=True), 430, 240)),
    )


_BANDS = "Root mean square against the picture's own; bands are 95 % intervals of the mean over seeds."


def _ratio(table: Plan, i: int) -> float:
    return float(table.sigma[i] / table.alpha[i]) if table.alpha[i] else float("inf")
