"""The parts that judge: settings, likeness, accounts, peaks, bars."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mezzotint.bench import BenchSettings
from mezzotint.bench.likeness import IDENTICAL, likeness, psnr
from mezzotint.bench.mezzotint_side import account, run_mezzotint, warm_up
from mezzotint.bench.peak import ProblemSizes, network_flops, peaks
from mezzotint.bench.requests import mixed_requests
from mezzotint.bench.targets import targets
from mezzotint.errors import ConfigError
from mezzotint.request import Request
from support.toy import Toy, schedule


def gray(level: int, size: tuple[int, int] = (8, 8)) -> Image.Image:
    return Image.new("RGB", size, (level, level, level))


def test_psnr() -> None:
    assert psnr(gray(100), gray(100)) == IDENTICAL
    assert psnr(gray(100), gray(110)) == pytest.approx(10 * np.log10(255**2 / 100))
    assert psnr(gray(100), gray(100, (4, 4))) == 0


def test_likeness_by_kind_of_sampler() -> None:
    pairs = {
        Request(sampler="euler", seed=0): (gray(0), gray(1)),
        Request(sampler="euler", seed=1): (gray(0), gray(2)),
        Request(sampler="euler-a"): (gray(0), gray(50)),
    }
    found = likeness(pairs, schedule())
    assert found["deterministic"] == {
        "pictures": 2,
        "median_db": pytest.approx(45.12, abs=0.01),
        "min_db": pytest.approx(42.11, abs=0.01),
    }
    assert found["stochastic"]["pictures"] == 1
    assert found["all"]["min_db"] == found["stochastic"]["min_db"] < 20
    assert set(found["samplers"]) == {"euler", "euler-a"}


@pytest.mark.parametrize(
    "wrong", [{"repeats": 0}, {"requests": -1}, {"steps": 10**9}, {"dtype": "float23"}, {"rounds": 0}]
)
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        BenchSettings(**wrong)


def test_quick_only_shrinks() -> None:
    assert BenchSettings().effective() == BenchSettings()
    small = BenchSettings(quick=True).effective()
    assert small.requests == 10  # every sampler once
    assert BenchSettings(quick=True, requests=3, repeats=1).effective().requests == 3
    assert small.effective() == small


def test_account_of_an_engine() -> None:
    toy = Toy()
    asked = mixed_requests(BenchSettings(quick=True).effective())
    work = run_mezzotint(toy, asked)
    facts = account([work, work], flops_per_row=10**9, peak=100.0)
    assert facts["pictures"] == 2 * len(asked)
    assert facts["network_calls"] == 2 * len(toy.calls)
    assert facts["rows"] == 2 * sum(n for n, _ in toy.calls)
    assert facts["padded_rows"] == 2 * sum(padded - n for n, padded in toy.calls)
    assert facts["rows_per_call"] * facts["network_calls"] == pytest.approx(facts["rows"])
    assert facts["evaluations"] > facts["network_calls"]  # company
    assert sum(facts["share"].values()) == pytest.approx(1)
    outside = facts["share"]["text"] + facts["share"]["elsewhere"]
    assert facts["outside_network_and_decoder"] == pytest.approx(outside)
    assert facts["gflops"] == pytest.approx(1e3 / facts["network_ms_per_row"])
    assert facts["of_peak"] == pytest.approx(facts["gflops"] / 100)


def test_warming_up_meets_every_row_count() -> None:
    toy = Toy(max_rows=16)
    warm_up(toy)
    assert [rows for _, rows in toy.calls] == [1, 2, 4, 8, 16]


def test_flops_are_counted_by_the_book() -> None:
    sizes = ProblemSizes(quick=True)
    x = torch.zeros(sizes.batch, sizes.channels, sizes.grid, sizes.grid)
    w = torch.zeros(sizes.channels, sizes.channels, 3, 3)
    assert network_flops(lambda: torch.nn.functional.conv2d(x, w, padding=1)) == sizes.conv_flops
    q = torch.zeros(1, 2, 5, 8)  # attention too: two products of 5x8x5 for each of two heads
    assert network_flops(lambda: torch.nn.functional.scaled_dot_product_attention(q, q, q)) == 2 * 2 * 2 * 200


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_peaks(dtype: str) -> None:
    found = peaks(dtype, threads=1, quick=True)
    speeds = [found[runtime][what] for runtime in ("torch", "openvino") for what in ("matmul", "conv")]
    assert min(speeds) > 0
    assert found["best"] == max(speeds)


def result(
    ratio: float = 0.5, outside: float = 0.04, db: float = 60.0, dtype: str = "float32"
) -> dict[str, Any]:
    part = {
        "ratio_of_medians": ratio,
        "mezzotint_median_s": 3.0,
        "pictures_each_time": 64,
        "psnr": {"all": {"min_db": db}},
        "mezzotint": {"outside_network_and_decoder": outside, "evaluations": 100},
        "diffusers": {"evaluations": 100},
    }
    return {"model": {"dtype": dtype}, "one_picture": part, "mixed": deepcopy(part), "cold_start": part}


def test_bars_at_half_the_time_of_diffusers() -> None:
    verdicts = {bar.name: bar.holds for bar in targets(result())}
    assert verdicts == {
        "one picture, of diffusers' time": True,
        "64 mixed requests, of diffusers' time": False,
        "outside network and decoder, one picture": True,
        "outside network and decoder, 64 mixed": True,
        "cold start to a PNG on disk": True,
        "cold start, of a diffusers script's time": False,
        "picture against diffusers', one, lowest": True,
        "picture against diffusers', mixed, lowest": True,
        "evaluations, of diffusers'": True,
    }


def test_bars_that_fail_or_do_not_apply() -> None:
    bad = result(ratio=0.7, outside=0.06, db=44.0)
    bad["one_picture"]["mezzotint"]["evaluations"] = 99  # less work is no merit either
    bad["cold_start"]["mezzotint_median_s"] = 4.1
    assert not any(bar.holds for bar in targets(bad))
    half = {bar.name for bar in targets({**result(dtype="bfloat16"), "cold_start": None})}
    assert not any("cold" in name or "picture against" in name for name in half)
