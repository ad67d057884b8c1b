"""A sweep against diffusers, on a tiny model: the same evaluations and pictures, and fewer rows where beginnings are shared."""

from __future__ import annotations

from pathlib import Path

from mezzotint.bench.sweep import run_sweep


def test_the_same_work_is_compared(folder: Path) -> None:
    found = run_sweep(str(folder), scales=3, seeds=2, steps=4, rounds=2, sample=2)
    assert found["evaluations"] == 3 * 2 * 4
    assert found["psnr"]["pictures"] == 4
    assert found["psnr"]["min_db"] > 45
    assert found["ratios"][0] <= found["ratio"] <= found["ratios"][1]
    late = found["late"]
    assert late["pictures"] == 3
    assert late["rows_apart"] - late["rows_shared"] == 2  # one of four steps, of all but one
