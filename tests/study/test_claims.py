"""A claim is judged by numbers: what is so is confirmed, what is not is not, and what cannot be known is said to be so."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mezzotint.errors import ConfigError
from mezzotint.request import Request
from mezzotint.study.claims import parse_claim, parse_claims
from mezzotint.study.evidence import Evidence
from mezzotint.study.finding import Finding
from mezzotint.study.report import PageFacts, html
from mezzotint.study.spec import Study
from mezzotint.study.table import Row, StudyTable
from mezzotint.study.verdicts import judge

SCALES, ENCODERS = (1, 4, 8, 20), ("", "bert", "random")
STUDY = Study(
    base={"prompt": "a cat"},
    axes={"encoder": ENCODERS, "guidance.cfg.scale": SCALES},
    metrics=("judge_score", "clipped", "distance_unguided"),
)
Score = Callable[[str, int], float]


def peak(encoder: str, scale: int) -> float:
    """Only the model's own encoder works, and best at 8."""
    return 0.5 - abs(scale - 8) / 40 if not encoder else 0.1


def evidence(score: Score = peak, seeds: int = 8, noise: float = 0.02) -> Evidence:
    rng, rows = np.random.default_rng(3), []
    shared = rng.standard_normal(seeds)  # of a seed, as in real pictures: pairing removes it
    for encoder in ENCODERS:
        for scale in SCALES:
            for seed in range(seeds):
                value = score(encoder, scale) + 0.3 * shared[seed] + noise * rng.standard_normal()
                metrics = {"judge_score": value, "clipped": scale / 100, "distance_unguided": scale / 20}
                key = hashlib.sha256(f"{encoder}{scale}{seed}".encode()).hexdigest()
                cell: dict[str, Any] = {"encoder": encoder, "guidance.cfg.scale": scale}
                rows.append(
                    Row(cell, seed, "toy", key, Request(prompt="a cat", seed=seed), metrics, 20 * scale)
                )
    return Evidence(STUDY, StudyTable(tuple(rows), ("encoder", "guidance.cfg.scale")), picture, features)


def features(images: Sequence[Image.Image]) -> NDArray[np.float32]:
    """The mean lightness as an angle: unit vectors that a shift leaves alone."""
    angles = np.array([np.asarray(image, np.float64).mean() / 255 * 3 for image in images])
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def picture(row: Row) -> Image.Image:
    """As light as its seed; BERT's a little lighter than random ones, the others much."""
    light = {"": 90, "bert": 2, "random": 0}[str(row.cell["encoder"])] + 10 * row.seed
    return Image.new("RGB", (8, 8), (light, light, light))


def said(at: Evidence, **table: Any) -> Finding:
    return judge(parse_claim(STUDY, {"says": "so it is", **table}), at)


OWN = {"encoder": ""}
BEST = {"kind": "best_within", "axis": "guidance.cfg.scale", "metric": "judge_score", "where": OWN}
FALLS = {"kind": "falls_beyond", "axis": "guidance.cfg.scale", "metric": "judge_score", "where": OWN}
NEVER = {
    "kind": "never_above", "axis": "guidance.cfg.scale", "metric": "judge_score",
    "of": {"encoder": "bert"}, "than": {"encoder": "random"}, "by": 0.1,
}  # fmt: skip
GREATER = {"kind": "greater", "metric": "judge_score", "of": OWN, "than": {"encoder": "bert"}}
COSTS = {
    "kind": "greater", "metric": "evaluations",
    "of": {"guidance.cfg.scale": 20}, "than": {"guidance.cfg.scale": 4},
}  # fmt: skip
EQUAL = {"kind": "equal", "metric": "judge_score", "of": {"encoder": "bert"}, "than": {"encoder": "random"}}
CURVES = {"kind": "greater_at_equal", "metric": "judge_score", "equal": "distance_unguided"}
CURVE = {"guidance.cfg.scale": [1, 4, 8]}


@pytest.mark.parametrize(
    ("table", "holds"),
    [
        ({**BEST, "low": 8, "high": 16}, True),
        ({**BEST, "low": 1, "high": 4}, False),
        ({**FALLS, "beyond": 8}, True),
        ({**FALLS, "beyond": 4}, False),
        (GREATER, True),
        ({**GREATER, "of": {"encoder": "bert"}, "than": OWN}, False),
        ({**GREATER, "by": 0.5}, False),
        ({**COSTS, "times": 4}, True),
        ({**COSTS, "times": 5}, False),
        ({**EQUAL, "within": 0.05}, True),
        ({**EQUAL, "than": OWN, "within": 0.05}, False),
        (NEVER, True),
        ({**NEVER, "of": OWN}, False),
        ({**CURVES, "of": {**OWN, **CURVE}, "than": {"encoder": "bert", **CURVE}}, True),
        ({**CURVES, "of": {"encoder": "bert", **CURVE}, "than": {**OWN, **CURVE}}, False),
        ({"kind": "same_pictures", "of": {"encoder": "bert"}, "than": {"encoder": "random"}}, True),
        ({"kind": "same_pictures", "of": OWN, "than": {"encoder": "random"}}, False),
        ({"kind": "different_pictures", "of": OWN, "than": {"encoder": "random"}}, True),
        ({"kind": "different_pictures", "of": {"encoder": "bert"}, "than": {"encoder": "random"}}, False),
        ({"kind": "different_seeds", "times": 0.1}, True),
        ({"kind": "different_seeds", "times": 1000}, False),
        ({"kind": "different_seeds", "by": 0.05}, True),
        ({"kind": "different_seeds", "by": 0.1}, False),
    ],
)  # fmt: skip
def test_what_is_so_is_confirmed_and_what_is_not_is_not(table: dict[str, Any], holds: bool) -> None:
    found = said(evidence(), **table)
    assert found.verdict == ("confirmed" if holds else "refuted"), found.evidence
    assert any(letter.isdigit() for letter in found.evidence) and "nan" not in found.evidence


@pytest.mark.parametrize("table", [{**BEST, "low": 8, "high": 8}, GREATER, {**EQUAL, "within": 0.05}, NEVER])
def test_noise_confirms_nothing_and_says_that_it_does_not(table: dict[str, Any]) -> None:
    found = said(evidence(lambda encoder, scale: 0.3, noise=1.0), **table)
    assert found.verdict == "undecided"
    assert "would tell" in found.evidence or "would not tell" in found.evidence


def test_the_opposite_is_told_from_doubt() -> None:
    found = said(evidence(), **{**GREATER, "of": {"encoder": "bert"}, "than": OWN})
    assert "the opposite" in found.evidence and "n = 8 seeds" in found.evidence


def test_a_claim_whose_condition_does_not_hold_is_undecided() -> None:
    flat = evidence(lambda encoder, scale: 0.1)
    found = said(flat, **NEVER, given={**GREATER, "by": 0.1})
    assert found.verdict == "undecided" and "condition is refuted" in found.evidence
    assert said(evidence(), **NEVER, given={**GREATER, "by": 0.1}).verdict == "confirmed"


def test_a_condition_that_does_not_hold_hides_no_refutation() -> None:
    worse = {**GREATER, "of": {"encoder": "bert"}, "than": OWN}
    found = said(evidence(), **worse, given=worse)
    assert found.verdict == "refuted"


def test_seeds_with_one_picture_are_not_different_though_their_pixels_are() -> None:
    """Each a shift of one texture: far apart in pixels, the same in features that a shift leaves alone."""
    texture = np.random.default_rng(0).integers(0, 255, (16, 16, 3)).astype(np.uint8)

    def shifted(row: Row) -> Image.Image:
        return Image.fromarray(np.roll(texture, row.seed, 1))

    at = replace(evidence(), picture=shifted)
    assert min(at.rms_distance(*two) for two in at.neighbors()) > 0.5
    assert said(at, kind="different_seeds", times=2).verdict == "refuted"


def test_the_source_of_a_claim_is_kept() -> None:
    assert said(evidence(), **GREATER).source == "ours"
    assert said(evidence(), **GREATER, source="report").source == "report"


@pytest.mark.parametrize("seeds", [1, 3])
def test_few_seeds_are_too_few_for_any_verdict(seeds: int) -> None:
    assert said(evidence(seeds=seeds), **GREATER).verdict == "undecided"
    assert said(evidence(seeds=seeds), **BEST, low=8, high=8).verdict == "undecided"
    both = {"of": {**OWN, **CURVE}, "than": {"encoder": "bert", **CURVE}}
    assert said(evidence(seeds=seeds), **CURVES, **both).verdict == "undecided"


def test_curves_that_never_meet_are_not_compared() -> None:
    low, high = {"guidance.cfg.scale": [1, 4]}, {"guidance.cfg.scale": [8, 20]}
    assert said(evidence(), **CURVES, of={**OWN, **low}, than={**OWN, **high}).verdict == "undecided"


def test_axes_that_go_along_with_the_named_one_do_not_part_its_pairs() -> None:
    study = Study(base={"prompt": "a cat"}, zipped=({"sampler": ("ddim", "ddpm"), "steps": (40, 1000)},))
    rows = tuple(
        Row({"sampler": sampler, "steps": steps}, seed, "toy", f"{sampler}{seed}", Request(seed=seed), {"x": value})
        for sampler, steps, value in (("ddim", 40, 1.0), ("ddpm", 1000, 3.0))
        for seed in range(4)
    )  # fmt: skip
    at = Evidence(study, StudyTable(rows, ("sampler", "steps")), picture)
    found = at.difference({"sampler": "ddpm"}, {"sampler": "ddim"}, "x")
    assert (found.mean, found.n) == (2.0, 4)
    assert len(at.pairs({"sampler": "ddpm"}, {"sampler": "ddim"})) == 4


def test_pictures_without_a_value_are_left_out() -> None:
    at = evidence(lambda encoder, scale: math.nan if scale == 1 else peak(encoder, scale))
    assert said(at, **GREATER).verdict == "confirmed"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({**GREATER, "kind": "graeter"}, "did you mean 'greater'"),
        ({**GREATER, "tmes": 2}, "did you mean 'times'"),
        ({**GREATER, "metric": "judge_scor"}, "did you mean 'judge_score'"),
        ({**GREATER, "metric": "diversity"}, "not among the study's metrics"),
        ({**BEST, "low": 1, "high": 2, "axis": "guidance.cfg.scal"}, "did you mean 'guidance.cfg.scale'"),
        ({**BEST, "low": 1, "high": 2, "metric": "distance_unguided"}, "neither more nor less is better"),
        ({**BEST, "low": 1, "high": 2, "axis": "encoder"}, "no numbers"),
        ({**FALLS, "beyond": 7}, "has no value 7"),
        ({**GREATER, "of": {"encoder": "bret"}}, "did you mean 'bert'"),
        ({**GREATER, "of": {"encodr": "bert"}}, "did you mean 'encoder'"),
        ({**EQUAL, "within": 0}, "within"),
        ({**GREATER, "given": {"kind": "best"}}, "(given)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_the_nearest_known(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match="so it is") as caught:
        parse_claims(STUDY.model_copy(update={"claims": ({"says": "so it is", **table},)}))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_the_page_of_a_study_shows_its_claims() -> None:
    found = said(evidence(), **GREATER)
    page = html(evidence().table, PageFacts("study", findings=[found]))
    assert found.claim in page and found.evidence in page and "confirmed" in page
    assert "Claims" not in html(evidence().table, PageFacts("study"))
