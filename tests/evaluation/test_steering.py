"""What gradient guidance is measured by."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from mezzotint.evaluation.steering import GuidanceEffect, _color_gain, _is_subject, best
from mezzotint.stats import interval


def plain(*colors: tuple[int, int, int]) -> list[Image.Image]:
    return [Image.new("RGB", (4, 4), color) for color in colors]


def test_the_share_of_the_way_to_a_color() -> None:
    before, after = plain((0, 0, 0), (0, 0, 0)), plain((0, 100, 0), (0, 200, 0))
    assert _color_gain(before, after, ["#00c800"] * 2) == pytest.approx([0.5, 1.0])


def test_the_best_strength() -> None:
    def outcome(kind: str, strength: float, gain: float) -> GuidanceEffect:
        return GuidanceEffect(kind, strength, 8, gain, gain, gain, math.nan)

    colors = [outcome("color", e, g) for e, g in ((0.1, 0.3), (0.2, 0.6), (0.4, 0.9))]
    assert best(colors).strength == 0.2  # the gentlest that goes half the way
    assert best(colors[:1]).strength == 0.1
    assert best([outcome("clip", e, g) for e, g in ((0.1, 0.3), (0.2, 0.6), (0.4, 0.1))]).strength == 0.2


def test_the_interval_holds_the_mean_and_shrinks() -> None:
    values = np.random.default_rng(0).normal(1.0, 1.0, 400)
    _, low, high, _ = interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)


def test_subjects() -> None:
    assert _is_subject("", ["pizza", "grinning face"]) and _is_subject("", ["robot"])
    assert not _is_subject("", ["pizza", "castle"])
    assert _is_subject("a cat", ["cat"]) and not _is_subject("a cat", ["dog"])
