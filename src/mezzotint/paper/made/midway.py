"""LMS started in the middle: the weights of its first steps, right and as diffusers has them, and what is left of noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mezzotint.engine import Network
from mezzotint.inspection.codec import Pixels
from mezzotint.inspection.noise import NoiseLevel, level_at
from mezzotint.library import keep
from mezzotint.pages.figures import Figure, Series, svg
from mezzotint.pages.layout import details, figure, wide
from mezzotint.paper.made.channels import STABLE
from mezzotint.paper.made.drawing import Tile, tiles
from mezzotint.paper.made.drawn import CAR, pictures
from mezzotint.paper.made.making import SectionParts, seeds
from mezzotint.paper.made.verdicts import above, equal, short
from mezzotint.paper.section import PaperSettings, open_cached
from mezzotint.request import Request
from mezzotint.samplers.levels import SamplerRun, k_levels
from mezzotint.samplers.solvers import weights
from mezzotint.study.finding import Finding

BEGIN, OF, ORDER = 10, 50, 4
VISIBLE = 0.5  # of 0..255
STARTS = ((10, 50), (10, 15), (45, 50))  # a step, and of how many
Floats = NDArray[np.float64]


def midway(setting: PaperSettings) -> SectionParts:
    """The sums of the weights on the published schedule; image to image with the text model, both ways."""
    network, chosen = open_cached(setting.text_model, setting.precision), seeds(setting, 6)
    setting.say(f"{network.name}: LMS begun in the middle, {len(chosen)} seeds")
    start = pictures(setting, network, [Request(prompt=CAR, seed=0, steps=25)])[0]
    setting.folder.mkdir(parents=True, exist_ok=True)
    path = setting.folder / "midway-start.png"
    start.save(path)
    init = keep(path)
    starts = [
        _run_from(setting, network, init, level_at(network.schedule, "lms", *at), chosen) for at in STARTS
    ]
    findings = (*_weights(), *(one.distance_finding() for one in starts), _noise_finding(starts))
    return SectionParts(_html(starts[0]) + _table(starts), findings, _NOTES)


_NOTES = (
    "The path is what Heun's method, of second order, takes from the same start. What the fault does depends on what is left: "
    "with much of the run before it, the network takes the noise out again, and the picture is another.",
)


@dataclass(frozen=True, eq=False)
class MidwayRuns:
    """Runs from one start: LMS right and with the fault, and Heun's method."""

    level: NoiseLevel
    right: list[Pixels]
    wrong: list[Pixels]
    path: list[Pixels]

    @property
    def where(self) -> str:
        """The start in words."""
        return f"step {self.level.step} of {self.level.of}, sigma {self.level.sigma:.3g}"

    def distances(self, shown: Sequence[Pixels]) -> list[float]:
        """Root mean squares of 0 to 255 from the path."""
        return [
            float(np.sqrt(np.square(a.astype(float) - b).mean()))
            for a, b in zip(shown, self.path, strict=True)
        ]

    @property
    def noise(self) -> list[float]:
        """That the fault leaves, 0 to 255."""
        return [noise_of(b) - noise_of(a) for a, b in zip(self.right, self.wrong, strict=True)]

    def distance_finding(self) -> Finding:
        """How far the fault leads off."""
        off = np.subtract(self.distances(self.wrong), self.distances(self.right))
        claim = f"Begun at step {self.level.step} of {self.level.of}, the fault leads off the path"
        return above(
            claim,
            off,
            0,
            f"distance from it (0 to 255), with the fault less without, sigma {self.level.sigma:.3g}",
        )


def _run_from(
    setting: PaperSettings, network: Network, init: str, level: NoiseLevel, chosen: Sequence[int]
) -> MidwayRuns:
    base = Request(prompt=CAR, init=init, steps=level.of or 1, begin=level.step or 0, guidance="cfg(1)")
    ways = ({"sampler": "lms"}, {"sampler": "lms", "compat": "diffusers"}, {"sampler": "heun"})
    asked = [replace(base, seed=seed, **way) for way in ways for seed in chosen]  # type: ignore[arg-type]
    drawn = [np.asarray(p.image) for p in pictures(setting, network, asked)]
    n = len(chosen)
    return MidwayRuns(level, drawn[:n], drawn[n : 2 * n], drawn[2 * n :])


def sums(begin: int, of: int, skipped: bool) -> Floats:
    """Of the weights of the first steps, as parts of the step: 1 for a rule that integrates a constant.

    `skipped`: the order counts steps that were never taken, and slopes that are missing are left out.
    """
    every = k_levels(SamplerRun(STABLE, of))
    sigma, after = every.sigma[begin:], every.sigma_next[begin:]
    earlier = every.sigma[:begin] if skipped else every.sigma[:0]
    found = weights(np.append(earlier, sigma), after, leaps=not skipped)[:, : ORDER - 1, 0]  # (4, 3)
    there = np.tril(np.ones((ORDER - 1, ORDER)))  # a run's step k has its own slope and k before it
    return np.asarray((found.T * there).sum(1) / (after - sigma)[: ORDER - 1, 0])


def noise_of(pixels: Pixels) -> float:
    """The standard deviation of the noise in a picture, 0..255 (Immerkaer 1996, Fast Noise Variance Estimation)."""
    gray = pixels.astype(np.float64).mean(2)
    rows = gray[:-2] - 2 * gray[1:-1] + gray[2:]
    both = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    return float(np.sqrt(np.pi / 2) * np.abs(both).mean() / 6)


def _weights() -> tuple[Finding, Finding]:
    what = (
        f"sums of the weights of the first three steps, as parts of the step, begun at step {BEGIN} of {OF}"
    )
    return (
        equal(
            "Begun in the middle, diffusers' LMS takes wrong steps",
            sums(BEGIN, OF, True).tolist(),
            [2.04, 0.26, 1.19],
            2,
            what,
        ),
        equal(
            "Begun at order 1 again, every step has its own length",
            sums(BEGIN, OF, False).tolist(),
            [1, 1, 1],
            2,
            what,
        ),
    )


def _noise_finding(starts: Sequence[MidwayRuns]) -> Finding:
    """Where it is most."""
    most = max(starts, key=lambda one: float(np.mean(one.noise)))
    what = f"noise (0 to 255) with the fault less without, from {most.where}, where it is most of {len(starts)} starts"
    return above("The fault leaves noise that can be seen", most.noise, VISIBLE, what)


def _html(begun: MidwayRuns) -> str:
    rows = [
        tiles(
            [
                Tile(p, f"noise {noise_of(p):.2f}", f"off by {far:.1f}")
                for p, far in zip(shown[:9], begun.distances(shown), strict=False)
            ],
            f"{said}, begun at {begun.where}",
        )
        for said, shown in (
            ("Heun", begun.path),
            ("LMS, right", begun.right),
            ('LMS, compat="diffusers"', begun.wrong),
        )
    ]
    x, names = [float(i) for i in range(ORDER - 1)], ("first", "second", "third")
    series = [
        Series(name, x, sums(BEGIN, OF, skipped).tolist(), "dots")
        for name, skipped in (("right", False), ("diffusers", True))
    ]
    curve = svg(Figure(series, "step after the start", zero=True, names=names), 880, 200)
    return "".join(rows) + figure("Sum of the weights, as a part of the step", curve)


def _table(starts: Sequence[MidwayRuns]) -> str:
    head = ("begun at", "off the path, right", "with the fault", "noise, right", "with the fault")
    rows = []
    for one in starts:
        values = (
            one.distances(one.right),
            one.distances(one.wrong),
            *([noise_of(p) for p in some] for some in (one.right, one.wrong)),
        )
        rows.append((one.where, *map(short, values)))
    return details("By start; 0 to 255, in brackets 95 % intervals of the mean over seeds", wide(head, rows))
