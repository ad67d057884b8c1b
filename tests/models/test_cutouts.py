"""Pieces of pictures: the matrices are torch's own interpolation and pooling, and the draw decides everything."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mezzotint.guidance import Clip
from mezzotint.models.steering.cutouts import (
    Cutouts,
    extract_cutouts,
    pool_matrices,
    resize_matrices,
    sample_cutouts,
)

SIZE = 16


def drawn(term: Clip, seed: int = 0, height: int = 40, width: int = 56) -> Cutouts:
    return sample_cutouts(term, height, width, SIZE, np.random.default_rng(seed))


@pytest.mark.parametrize(("first", "count"), [(0, 50), (7, 31), (12, 9), (3, 16), (49, 1)])
def test_the_matrices_are_torchs_interpolation_and_pooling(first: int, count: int) -> None:
    line = torch.randn(1, 1, 1, 50, generator=torch.Generator().manual_seed(count))
    crop = line[..., first : first + count]
    smooth = F.interpolate(crop, (1, SIZE), mode="bilinear", antialias=True)[0, 0, 0]
    assert resize_matrices([(first, count)], 50, SIZE)[0] @ line[0, 0, 0].numpy() == pytest.approx(
        smooth.numpy(), abs=1e-5
    )
    mean = F.adaptive_avg_pool1d(crop[0], SIZE)[0, 0]
    assert pool_matrices([(first, count)], 50, SIZE)[0] @ line[0, 0, 0].numpy() == pytest.approx(
        mean.numpy(), abs=1e-5
    )


@pytest.mark.parametrize("crop", ["resized", "square", "whole"])
def test_the_draw_alone_decides(crop: str) -> None:
    term = Clip("a cat", cutouts=5, crop=crop, degrees=0 if crop == "whole" else 5)  # type: ignore[arg-type]
    one, same, other = drawn(term, 1), drawn(term, 1), drawn(term, 2)
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert np.array_equal(one.rows, other.rows) == (crop == "whole")
    assert len(one.turns) == (1 if crop == "whole" else 5)
    for matrix in (one.rows, one.columns):
        assert matrix.sum(-1) == pytest.approx(np.ones(matrix.shape[:2]), abs=1e-5)  # no piece looks outside


def test_pieces_are_as_varied_as_torchvisions() -> None:
    many = drawn(Clip("a cat", cutouts=64))
    seen = [(one > 0).any(1).sum(-1) for one in (many.rows, many.columns)]
    area, ratio = seen[0] * seen[1] / (40 * 56), seen[1] / seen[0]
    assert 0.06 < area.min() < 0.3 < 0.6 < area.max()  # of 0.08 to 1
    assert 0.65 < ratio.min() < 0.9 < 1.1 < ratio.max() < 1.45  # of 3/4 to 4/3
    mirrored = np.array([np.diff((one * np.arange(56)).sum(-1)).sum() < 0 for one in many.columns])
    assert 16 < mirrored.sum() < 48


def test_squares_fit_and_are_as_large_as_the_community_pipelines() -> None:
    many = drawn(Clip("a cat", cutouts=64, crop="square"))
    high, wide = ((one > 0).any(1).sum(-1) for one in (many.rows, many.columns))
    assert np.array_equal(high, wide)
    assert SIZE <= high.min() < high.max() <= 40


@pytest.mark.parametrize("degrees", [0, 30])
def test_the_way_back_is_the_derivative(degrees: float) -> None:
    rng = np.random.default_rng(0)
    term = Clip("a cat", cutouts=3, degrees=degrees)
    made = [sample_cutouts(term, 24, 32, SIZE, rng) for _ in range(2)]
    x = torch.tensor(rng.uniform(0.1, 0.9, (2, 3, 24, 32)) + rng.choice([-1.95, -0.5, 0.95], (2, 3, 24, 32)))
    out, back = extract_cutouts(x, made, [False, True])
    g, step = (torch.tensor(rng.standard_normal(shape)) for shape in (out.shape, x.shape))
    ahead, behind = (extract_cutouts(x + s * step, made, [False, True])[0] for s in (1e-3, -1e-3))
    slope = ((ahead - behind) * g).sum() / 2e-3
    assert float(slope) == pytest.approx(float((back(g) * step).sum()), rel=1e-2)


def test_a_turn_moves_the_corner_and_keeps_the_middle() -> None:
    still = drawn(Clip("a cat", cutouts=1), 3, 33, 33)
    x = torch.ones(1, 3, 33, 33)
    plain, _ = extract_cutouts(x, [still], [True])
    turned, _ = extract_cutouts(x, [still._replace(turns=np.array([30], np.float32))], [True])
    assert plain.min() == pytest.approx(1)
    assert turned[0, :, 8, 8] == pytest.approx(1)
    assert turned[0, :, 0, 0].max() < 0.5


def test_clip_is_given_0_to_1_and_with_the_slip_what_there_is() -> None:
    whole = drawn(Clip("a cat", crop="whole"))
    x = torch.full((2, 3, 40, 56), -0.5)
    x[:, 1] = 3
    pieces_, _ = extract_cutouts(x, [whole, whole], [False, True])
    assert pieces_[0, :2, 3, 3] == pytest.approx([0.25, 1])
    assert pieces_[1, :2, 3, 3] == pytest.approx([-0.5, 3])
