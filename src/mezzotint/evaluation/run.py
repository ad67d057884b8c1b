"""`mezzotint eval`: the cases drawn, scored, and set beside real pictures, whole and through the autoencoder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mezzotint.api import generate
from mezzotint.errors import DataError, ModelError
from mezzotint.evaluation.cases import Case, cases, right
from mezzotint.evaluation.nearest import center_on_white, real_files
from mezzotint.evaluation.strict import NAMED, Measure, measure_strictly
from mezzotint.models import open_model
from mezzotint.models.autoencoder import Autoencoder
from mezzotint.models.image_text import ImageText, folder_of_pair
from mezzotint.pages.tiles import make_grid
from mezzotint.request import Request
from mezzotint.stats import wilson

RealFiles = dict[tuple[str, str], str]

_WITH_CEILING = ("ordinary", "seen", "held-out")


class Evaluation(NamedTuple):
    """Shares by kind of prompt, and the strict measures where real pictures were given."""

    scores: list[Score]
    measures: list[Measure]


@dataclass(frozen=True)
class Score:
    """The share of one kind of case that is right, with its 95 % interval (Wilson)."""

    kind: str
    count: int
    share: float
    low: float
    high: float
    real: float | None = None  # real pictures of the same, judged the same way
    decoded: float | None = None  # the same through the autoencoder


def run(
    model: str = "emoji",
    judge: str = "judge",
    count: int = 100,
    seed: int = 0,
    steps: int = 25,
    guidance: str = "cfg(5)",
    encoder: str = "",
    data: Path | None = None,
    out: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
    precision: str = "auto",
) -> Evaluation:
    """Score a model; `data` is the folder of `mezzotint data emoji`, without which there is no ceiling.

    `encoder` reads the texts, see `mezzotint.expressions`. `out` gets the pictures as a sheet and the verdicts as JSON lines.
    """
    files = {} if data is None else real_files(data)
    Request(seed=seed, steps=steps, guidance=guidance, encoder=encoder)  # its mistakes before any work
    folder_of_pair(judge)
    opened = open_model(model, dtype=precision)
    judged_by = ImageText.open(judge)
    facts = facts_of(judged_by.path)
    objects = facts["objects"]
    listed = cases(objects, [tuple(pair) for pair in facts["held_out"]], facts["styles"], count)
    if data is not None:
        _check_files(listed, data, files)
    progress(f"drawing {len(listed)} pictures")
    requests = [
        Request(prompt=case.prompt, seed=seed + i, steps=steps, guidance=guidance, encoder=encoder)
        for i, case in enumerate(listed)
    ]
    pictures = [picture.image for picture in generate(requests, opened)]
    progress("scoring")
    verdicts = [right(case, image, judged_by, objects) for case, image in zip(listed, pictures, strict=True)]
    real: dict[str, float] = {}
    decoded: dict[str, float] = {}
    measures: list[Measure] = []
    if data is not None:
        progress("scoring real pictures")
        real, decoded = _ceilings(listed, data, files, model, judged_by, objects)
        reconstruct = Autoencoder.open(model).reconstruct
        measures = measure_strictly(listed, pictures, data, judged_by, objects, reconstruct)
    if out is not None:
        _write(out, listed, pictures, verdicts)
    kinds = list(dict.fromkeys(case.kind for case in listed))
    scores = [_score(kind, listed, verdicts, real.get(kind), decoded.get(kind)) for kind in kinds]
    return Evaluation(scores, measures)


def facts_of(judge: Path) -> dict[str, Any]:
    """The objects, the held-out pairs and the styles' names that a judge was trained with."""
    try:
        found = json.loads((judge / "objects.json").read_text())
        return {name: found[name] for name in ("objects", "held_out", "styles")}
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{judge} cannot judge: its objects.json is missing or damaged") from error


def _score(
    kind: str, listed: list[Case], verdicts: list[bool], real: float | None, decoded: float | None
) -> Score:
    mine = [verdict for case, verdict in zip(listed, verdicts, strict=True) if case.kind == kind]
    low, high = wilson(sum(mine), len(mine))
    return Score(kind, len(mine), sum(mine) / len(mine), low, high, real, decoded)


def _check_files(listed: list[Case], data: Path, files: RealFiles) -> None:
    """DataError, before anything is drawn, where a picture that is compared with is not there."""
    for case in listed:
        file = files.get((case.object, case.style))
        if case.kind in NAMED and (file is None or not (data / file).is_file()):
            what = f"{case.object!r}" + (f" in the style {case.style!r}" if case.style else "")
            raise DataError(f"{data} has no picture of {what}; make the set anew with `mezzotint data emoji`")


def _ceilings(
    listed: list[Case], data: Path, files: RealFiles, model: str, judge: ImageText, objects: list[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Shares right of real pictures on white, and of the same through the autoencoder, by kind."""
    autoencoder = Autoencoder.open(model)
    shares: tuple[dict[str, float], dict[str, float]] = ({}, {})
    for kind in _WITH_CEILING:
        mine = [case for case in listed if case.kind == kind]
        images = [center_on_white(data / files[case.object, case.style]) for case in mine]
        for share, shown in zip(shares, (images, autoencoder.reconstruct(images)), strict=True):
            share[kind] = float(
                np.mean([right(c, i, judge, objects) for c, i in zip(mine, shown, strict=True)])
            )
    return shares


def _write(out: Path, listed: list[Case], pictures: list[Image.Image], verdicts: list[bool]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with (out / "verdicts.jsonl").open("w") as file:
        for case, verdict in zip(listed, verdicts, strict=True):
            file.write(json.dumps({"kind": case.kind, "prompt": case.prompt, "right": bool(verdict)}) + "\n")
    for kind in dict.fromkeys(case.kind for case in listed):
        mine = [image for case, image in zip(listed, pictures, strict=True) if case.kind == kind][:96]
        make_grid(mine, 12, gap=2).save(out / f"{kind.replace(' ', '-')}.png")
