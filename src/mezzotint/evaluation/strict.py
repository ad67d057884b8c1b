"""Strict measures of a model's pictures: nearest real picture, the judge's first choice, sharpness, and sets in features.

Each is set beside real pictures of the same objects, whole and through the model's autoencoder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.evaluation.cases import Case
from mezzotint.evaluation.nearest import Gallery, center_on_white, halves, real_files
from mezzotint.metrics import kid, spread
from mezzotint.models.image_text import ImageText
from mezzotint.stats import wilson

Floats = NDArray[np.float64]
NEIGHBORS = 3
"""Of a picture, whose distance is the radius around it (Kynkäänniemi et al. 2019, 1904.06991)."""
NAMED = ("ordinary", "seen", "held-out", "color")


@dataclass(frozen=True)
class Measure:
    """A number of one kind of prompt; `low` and `high`: its 95 % interval; `real`: of real pictures, decoded ones last."""

    kind: str
    name: str
    count: int
    value: float
    low: float = math.nan
    high: float = math.nan
    real: tuple[float, ...] = ()


def measure_strictly(
    cases: Sequence[Case],
    pictures: Sequence[Image.Image],
    data: Path,
    judge: ImageText,
    objects: Sequence[str],
    reconstruct: Callable[[Sequence[Image.Image]], list[Image.Image]],
) -> list[Measure]:
    """All strict measures, by kind of prompt; `reconstruct` sends pictures through the model's autoencoder."""
    gallery, files = Gallery.read(data), real_files(data)
    measures = []
    for kind in NAMED:
        mine = [(case, image) for case, image in zip(cases, pictures, strict=True) if case.kind == kind]
        if not mine:
            continue
        wanted = [(case.object,) for case, _ in mine]
        drawn = [image for _, image in mine]
        real = [center_on_white(data / files[case.object, case.style]) for case, _ in mine]
        decoded = reconstruct(real)
        sets = (drawn, real, decoded) if kind != "color" else (drawn,)
        measures.append(_share(kind, "nearest real picture", [_nearest(gallery, s, wanted) for s in sets]))
        measures.append(
            _share(kind, "judge, first choice", [_first(judge, s, wanted, objects) for s in sets])
        )
        if kind != "color":
            measures += _of_sets(kind, drawn, real, decoded, judge)
    pairs = [(case, image) for case, image in zip(cases, pictures, strict=True) if case.kind == "two objects"]
    if pairs:
        both = [
            bool(_nearest(gallery, halves(image), [(name,) for name in case.wanted]).all())
            for case, image in pairs
        ]
        measures.append(_share("two objects", "nearest real picture, each half", [np.array(both)]))
    return measures


def sharpness(images: Sequence[Image.Image]) -> float:
    """The mean energy of the Laplacian."""
    energies = []
    for image in images:
        x = np.asarray(image.convert("RGB"), np.float64) / 255
        inner = x[1:-1, 1:-1]
        laplacian = x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:] - 4 * inner
        energies.append(np.square(laplacian).mean())
    return float(np.mean(energies))


def precision_and_recall(drawn: Floats, real: Floats, neighbors: int = NEIGHBORS) -> tuple[float, float]:
    """Shares of features (n, d) that lie within the other set's balls, reaching to its k-th neighbors (1904.06991)."""
    return _share_covered(drawn, real, neighbors), _share_covered(real, drawn, neighbors)


def _share_covered(points: Floats, centers: Floats, neighbors: int) -> float:
    radii = np.sort(_distances(centers, centers), 1)[:, min(neighbors, len(centers) - 1)]
    return float((_distances(points, centers) <= radii[None]).any(1).mean())


def _distances(x: Floats, y: Floats) -> Floats:
    squares = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T
    distances: Floats = np.sqrt(squares.clip(min=0))
    return distances


def _nearest(
    gallery: Gallery, images: Sequence[Image.Image], wanted: Sequence[Sequence[str]]
) -> NDArray[np.bool_]:
    found = gallery.nearest(images)
    return np.array([not names.isdisjoint(right) for names, right in zip(found, wanted, strict=True)])


def _first(
    judge: ImageText, images: Sequence[Image.Image], wanted: Sequence[Sequence[str]], objects: Sequence[str]
) -> NDArray[np.bool_]:
    texts = judge.embed_texts(objects)
    best = (judge.embed_images(images) @ texts.T).argmax(1)
    return np.array([objects[i] in right for i, right in zip(best, wanted, strict=True)])


def _share(kind: str, name: str, verdicts: Sequence[NDArray[np.bool_]]) -> Measure:
    drawn, *real = verdicts
    low, high = wilson(int(drawn.sum()), len(drawn))
    return Measure(
        kind, name, len(drawn), float(drawn.mean()), low, high, tuple(float(r.mean()) for r in real)
    )


def _of_sets(
    kind: str, drawn: list[Image.Image], real: list[Image.Image], decoded: list[Image.Image], judge: ImageText
) -> list[Measure]:
    """Sharpness against real pictures; distances in the judge's features from real ones through the autoencoder."""
    count, sharp = len(drawn), sharpness(real)
    measures = [
        Measure(
            kind, "sharpness of real", count, sharpness(drawn) / sharp, real=(1.0, sharpness(decoded) / sharp)
        )
    ]
    if count > NEIGHBORS:
        mine, theirs, whole = (np.asarray(judge.embed_images(s), np.float64) for s in (drawn, decoded, real))
        distances = kid(spread(mine), spread(theirs)), kid(spread(whole), spread(theirs))
        precision, recall = precision_and_recall(mine, theirs)
        measures.append(Measure(kind, "KID", count, distances[0], real=(distances[1], 0.0)))
        measures.append(Measure(kind, "precision", count, precision))
        measures.append(Measure(kind, "recall", count, recall))
    return measures
