"""What is measured: distances equal their formula, fixed pairs never change, times are told apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from mezzotint.metrics import kid, spread
from mezzotint.train.finetune.validation import DomainDistances, ValidationSet, by_bin, split
from mezzotint.train.noise import Noise, with_schedule


def test_kid_is_the_formula_pair_by_pair() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((7, 5)), rng.standard_normal((9, 5)) + 0.5

    def k(a: Any, b: Any) -> float:
        return float((a @ b / 5 + 1) ** 3)

    within = [np.mean([k(a, b) for a, b in itertools.permutations(z, 2)]) for z in (x, y)]
    across = np.mean([k(a, b) for a in x for b in y])
    assert kid(x, y) == pytest.approx(within[0] + within[1] - 2 * across, rel=1e-12)


def test_kid_is_unbiased_and_tells_sets_apart() -> None:
    rng = np.random.default_rng(1)
    same = [kid(rng.standard_normal((12, 8)), rng.standard_normal((12, 8))) for _ in range(400)]
    assert abs(np.mean(same)) < 3 * np.std(same) / 20
    assert min(same) < 0
    assert kid(rng.standard_normal((50, 8)), rng.standard_normal((50, 8)) + 1) > 10 * np.std(same)
    with pytest.raises(ValueError, match="two pictures"):
        kid(np.ones((1, 8)), np.ones((3, 8)))


def test_features_are_spread_so_that_the_kernel_sees_cosines() -> None:
    unit = np.eye(4)
    assert spread(unit) @ spread(unit).T / 4 == pytest.approx(np.eye(4))


class Oracle(nn.Module):
    """Answers with the noise, off by an error that depends on the time."""

    def __init__(self, noise: Noise):
        super().__init__()
        self.noise, self.asked = noise, list[Tensor]()

    def ask(self, module: nn.Module, x: Tensor, t: Tensor, condition: Any) -> Tensor:
        alpha, sigma = self.noise._scales(t)
        self.asked.append(x)
        return (x - alpha * 0.5) / sigma + t[:, None, None, None] / 1000  # the pictures are 0.5 everywhere


def test_fixed_pairs_never_change_and_cover_all_times() -> None:
    noise = Noise({})

    def examples(indices: Sequence[int]) -> tuple[Tensor, None]:
        return torch.full((len(indices), 3, 4, 4), 0.5), None

    fixed, oracle = ValidationSet(noise, examples, range(10), 0, 7), Oracle(noise)
    first, second = fixed(oracle.ask, oracle), fixed(oracle.ask, oracle)
    assert first == second
    half = len(oracle.asked) // 2
    assert all(torch.equal(a, b) for a, b in zip(oracle.asked[:half], oracle.asked[half:], strict=True))
    assert [first[f"val_loss_t{i}"] for i in range(10)] == pytest.approx(
        [((i + 0.5) / 10) ** 2 for i in range(10)], abs=0.03
    )
    other = ValidationSet(noise, examples, range(10), 1, 7)
    assert other.times.tolist() != fixed.times.tolist()
    assert sorted(other.times.tolist()) == sorted(fixed.times.tolist())


def test_errors_by_time() -> None:
    assert by_bin(torch.tensor([1.0, 3, 5]), torch.tensor([0, 0, 9])) == {"loss_t0": 2, "loss_t9": 5}


@pytest.mark.parametrize(("count", "held"), [(2, 2), (9, 9), (10, 1), (100, 10), (9000, 256)])
def test_a_tenth_is_held_out(count: int, held: int) -> None:
    learned, kept = split(count, 0.1, 0)
    assert len(kept) == held
    assert len(learned) == (count if count < 10 else count - held)
    assert count < 10 or not set(learned) & set(kept)
    assert split(count, 0.1, 0) == (learned, kept)


def test_domains_are_remembered_and_told_apart(tmp_path: Path) -> None:
    def made(color: str) -> list[Image.Image]:
        return [
            Image.effect_noise((64, 64), 20 + i).convert("RGB")
            if color == ""
            else Image.new("RGB", (64, 64), (i * 9, 20, 200))
            for i in range(6)
        ]

    kept = tmp_path / "watch" / "domains.safetensors"
    first = DomainDistances("judge", lambda: made(""), lambda: made("blue"), kept)
    near = first(made("blue"))
    assert near["kid_old"] < near["kid_new"]
    assert first.between() > 0
    assert first.counts == {"new": 6, "old": 6}

    def never() -> list[Image.Image]:
        raise AssertionError

    assert DomainDistances("judge", never, never, kept)(made("blue")) == near


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_targets_fit_the_plan_of_the_sampler(prediction: str) -> None:
    """What the network is taught is what the sampler takes it for: a perfect one gives x0 back."""
    from mezzotint.planning import plan
    from mezzotint.request import Request
    from mezzotint.train.noise import SeededNoise, sample_plan

    noise = Noise({"prediction_type": prediction, "clip_sample": False})
    x0 = torch.randn(1, 3, 4, 4)
    table = plan(Request(steps=5, sampler="ddim", guidance="none"), noise.schedule)

    def ask(x: Tensor, t: float) -> Tensor:
        time = torch.full((len(x),), int(t))
        alpha, sigma = noise._scales(time)
        return noise.target(x0, (x - alpha * x0) / sigma, time)

    assert torch.allclose(sample_plan(table, ask, SeededNoise((3, 4, 4), [3])), x0, atol=1e-3)


def test_noisy_times_weigh_more_up_to_a_cap() -> None:
    noise, t = Noise({"beta_schedule": "linear"}), torch.arange(0, 1000, 10)
    assert (noise.weight(t, 1) == 1).all()
    weight = noise.weight(t, 30)
    assert weight[0] == 1 and weight[-1] == 30 and (weight.diff() >= 0).all()
    signal = noise.bars[t] / (1 - noise.bars[t])
    between = (weight > 1) & (weight < 30)
    assert between.sum() > 10 and torch.allclose(weight[between] * signal[between], torch.ones(1))


def test_another_noise_schedule() -> None:
    own = {"beta_schedule": "scaled_linear", "beta_end": 0.018, "prediction_type": "v_prediction"}
    assert with_schedule(own, None) == with_schedule(own, "scaled-linear") == own
    cosine = with_schedule({**own, "trained_betas": [0.1]}, "cosine")
    assert cosine["beta_schedule"] == "squaredcos_cap_v2" and "trained_betas" not in cosine
    assert cosine["prediction_type"] == "v_prediction"
    assert with_schedule({}, "linear") == {}
