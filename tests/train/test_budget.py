"""A run looks at itself for at most a tenth of its time, unless it is asked to do more, and says what it leaves out."""

from __future__ import annotations

from typing import Any

import pytest

from mezzotint.train.finetune.budget import LEAST, MOST, describe_budget, fit_to_run, learning_calls
from mezzotint.train.finetune.config import FinetuneConfig, parse_settings


def config(**more: Any) -> FinetuneConfig:
    return parse_settings({"model": "faces", "data": "here", "out": "there", **more})


def looking_calls(fitted: FinetuneConfig, reads_text: bool) -> int:
    """Of the sheet before the first step, and of samples for KID: before the run, then at each look."""
    samples = fitted.shown * bool(fitted.baseline) + fitted.kid_samples * (fitted.epochs + 2)
    return samples * fitted.sample_steps * (2 if reads_text else 1)


@pytest.mark.parametrize("reads_text", [False, True])
@pytest.mark.parametrize("epochs", [1, 3, 10, 100])
@pytest.mark.parametrize("pictures", [2, 61, 500, 4000, 50_000])
def test_fit_to_run_takes_at_most_a_tenth(pictures: int, epochs: int, reads_text: bool) -> None:
    asked_for = config(epochs=epochs)
    fitted = fit_to_run(asked_for, pictures, reads_text)
    assert looking_calls(fitted, reads_text) <= learning_calls(asked_for, pictures) / 10
    assert fitted.measured == 0 or LEAST <= fitted.kid_samples <= MOST


def test_fit_to_run_gives_a_large_run_all_it_may_have() -> None:
    fitted = fit_to_run(config(), 50_000, False)
    assert (fitted.baseline, fitted.measured) == (True, MOST)
    assert describe_budget(config(), fitted) == ""


def test_what_is_asked_for_is_done() -> None:
    chosen = config(measured=24, baseline=True)
    fitted = fit_to_run(chosen, 2, True)
    assert (fitted.baseline, fitted.measured) == (True, 24)
    assert describe_budget(chosen, fitted) == ""


def test_describe_budget_says_what_is_left_out_and_how_to_ask_for_it() -> None:
    small = describe_budget(config(), fit_to_run(config(), 61, False))
    assert small == (
        "left out, as more than a tenth of the run: samples before the first step and KID; "
        "--baseline --measured 64 asks for it"
    )
    some = fit_to_run(config(), 3000, False)
    assert LEAST <= some.kid_samples < MOST
    assert describe_budget(config(), some) == (
        f"KID from {some.measured} samples an epoch, a tenth of the run; --measured 64 asks for more"
    )
