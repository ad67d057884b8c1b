"""The reader of scheduler configurations knows every class and every key that diffusers writes."""

from __future__ import annotations

import inspect
from typing import Any

import diffusers
import pytest

from mezzotint.errors import ModelError, RequestError
from mezzotint.planning import plan
from mezzotint.request import Request
from mezzotint.samplers import SAMPLERS
from mezzotint.schedule import Schedule
from mezzotint.scheduler_config import (
    DEFAULTS,
    FOLLOWED,
    KEYS,
    WARNED,
    check,
    correct_config,
    remarks,
    unsupported_settings,
    with_index_class,
)

OPENED = sorted((FOLLOWED | WARNED.keys()) - {""})
SD: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def parameters(name: str) -> dict[str, Any]:
    found = inspect.signature(getattr(diffusers, name).__init__).parameters
    return {key: value.default for key, value in found.items() if key != "self"}


@pytest.mark.parametrize("name", [name for name in OPENED if hasattr(diffusers, name)])
def test_reader_knows_every_key_and_default_of_diffusers(name: str) -> None:
    written = parameters(name)
    assert set(written) - {"args", "kwargs"} <= KEYS  # a class that needs a further package is a placeholder
    opened = {**Schedule.from_config({"_class_name": name}).config}
    usual = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"}
    for key in usual.keys() & written.keys():
        assert {**usual, **opened}[key] == written[key], key
    assert DEFAULTS.keys() <= set(OPENED)


@pytest.mark.parametrize(
    "name", ["EDMEulerScheduler", "NoSuchScheduler", "DDIMInverseScheduler", "IPNDMScheduler"]
)
def test_foreign_class_is_refused_by_name(name: str) -> None:
    with pytest.raises(ModelError, match=f"the scheduler is a '{name}'"):
        check({"_class_name": name})


def test_unknown_key_is_refused_with_the_nearest() -> None:
    with pytest.raises(ModelError, match="unknown key 'beta_stat'; did you mean 'beta_start'"):
        check({"beta_stat": 1})
    check({"_some_note": 1})
    check({"a_setting_of_tomorrow": None, "another": False})


def test_class_of_the_index_is_followed_as_diffusers_does() -> None:
    """The index names the class that diffusers opens; one that is not known leaves the file's own."""
    config = {"_class_name": "DDIMScheduler", **SD}
    assert with_index_class(config, ["diffusers", "PNDMScheduler"]) == config | {
        "_class_name": "PNDMScheduler"
    }
    for named in (
        ["diffusers", "DDIMScheduler"],
        ["diffusers", "EDMEulerScheduler"],
        [None, None],
        None,
        "x",
    ):
        assert with_index_class(config, named) == config


@pytest.mark.parametrize(
    "name", ["DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "EulerDiscreteScheduler"]
)
@pytest.mark.parametrize("change", [{}, {"clip_sample": True, "steps_offset": 0}, {"steps_offset": 2}])
def test_old_folders_are_corrected_as_by_stock_pipeline(name: str, change: dict[str, Any]) -> None:
    """Latents are never clipped, and the offset is 1."""
    fixed = Schedule.from_config(correct_config({"_class_name": name, **SD, **change}))
    assert (fixed.clip_sample, fixed.steps_offset) == (None, 1)


def test_correct_folders_stay_as_they_are() -> None:
    for config in (
        {"_class_name": "PNDMScheduler", **SD, "steps_offset": 1},
        {"_class_name": "DDIMScheduler", **SD, "steps_offset": 1, "clip_sample": False},
        {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0},
        SD,
    ):
        assert correct_config(config) == config


@pytest.mark.parametrize(
    ("sampler", "change"),
    [
        ("dpmpp-2m", {"solver_order": 3}),
        ("dpmpp-2m", {"solver_type": "heun"}),
        ("dpmpp-2m", {"algorithm_type": "dpmsolver"}),
        ("dpmpp-2m", {"lambda_min_clipped": -5.1}),
        ("unipc", {"predict_x0": False}),
        ("unipc", {"disable_corrector": [0]}),
        ("unipc", {"lower_order_final": False}),
        ("pndm", {"skip_prk_steps": False}),
    ],
)
def test_unfollowed_solver_setting_is_refused_in_compat_and_told_without(
    sampler: str, change: dict[str, Any]
) -> None:
    config = {"_class_name": "PNDMScheduler", "skip_prk_steps": True, **SD, **change}
    (key,) = change
    with pytest.raises(RequestError, match=key):
        plan(Request(sampler=sampler, compat="diffusers"), Schedule.from_config(config))
    plan(Request(sampler=sampler), Schedule.from_config(config))
    plan(Request(sampler="euler", compat="diffusers"), Schedule.from_config(config))
    assert any(key in remark for remark in remarks(config))


def test_defaults_of_diffusers_are_followed() -> None:
    """What the followed classes write on their own asks for nothing that is not here."""
    for sampler, record in SAMPLERS.items():
        name, extra = record.diffusers or ("", {})
        assert not unsupported_settings({"_class_name": name, **parameters(name), **extra}, sampler)


def test_remarks_name_few_step_and_zero_snr_models() -> None:
    assert "LCMScheduler" in remarks({"_class_name": "LCMScheduler"})[0]
    zero = {"_class_name": "DDIMScheduler", "rescale_betas_zero_snr": True}
    assert "zero terminal SNR" in remarks(zero)[0]
    assert remarks(zero | {"prediction_type": "v_prediction"}) == []


@pytest.mark.parametrize("sampler", ["euler", "dpmpp-2m", "heun"])
def test_karras_ramp_is_capped_where_no_signal_is_left(sampler: str) -> None:
    schedule = Schedule.from_config(SD | {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"})
    ours = plan(Request(sampler=sampler, spacing="karras", steps=20), schedule)
    assert (ours.sigma / ours.alpha).max() == pytest.approx(80)
