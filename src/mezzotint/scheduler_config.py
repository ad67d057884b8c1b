"""The reader of `scheduler_config.json`: every key is used, has no effect here, or is refused by name.

`check` refuses what would draw other pictures. `correct_config` makes the corrections of the stock text-to-image
pipeline to old folders. `unsupported_settings` lists the settings that a sampler's counterpart in diffusers follows and
the sampler here does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mezzotint.config_keys import unknown_keys
from mezzotint.errors import ModelError, nearest

Config = Mapping[str, Any]

# Classes whose steps a sampler here takes. No class: the noise of DDPM, as the oldest files mean it.
FOLLOWED = frozenset(
    {
        "",
        "DDIMParallelScheduler",
        "DDIMScheduler",
        "DDPMParallelScheduler",
        "DDPMScheduler",
        "DPMSolverMultistepScheduler",
        "EulerAncestralDiscreteScheduler",
        "EulerDiscreteScheduler",
        "FlowMatchEulerDiscreteScheduler",
        "HeunDiscreteScheduler",
        "LMSDiscreteScheduler",
        "PNDMScheduler",
        "UniPCMultistepScheduler",
    }
)
# Classes with the same training noise, but with steps that no sampler here takes: a warning, and what it means.
_FEW_STEPS = "the model may be distilled for few steps, which the samplers here do not draw as it does"
_OTHER_STEPS = "the samplers here draw the same model by other steps"
WARNED: dict[str, str] = {
    "DEISMultistepScheduler": _OTHER_STEPS,
    "DPMSolverSDEScheduler": _OTHER_STEPS,
    "DPMSolverSinglestepScheduler": _OTHER_STEPS,
    "FlowMatchHeunDiscreteScheduler": _OTHER_STEPS,
    "KDPM2AncestralDiscreteScheduler": _OTHER_STEPS,
    "KDPM2DiscreteScheduler": _OTHER_STEPS,
    "LCMScheduler": _FEW_STEPS,
    "SASolverScheduler": _OTHER_STEPS,
    "TCDScheduler": _FEW_STEPS,
}
# Defaults of single classes that differ from those of all others.
_SD_BETAS = {"beta_start": 0.00085, "beta_end": 0.012}
DEFAULTS: dict[str, dict[str, Any]] = {
    "HeunDiscreteScheduler": _SD_BETAS,
    "KDPM2AncestralDiscreteScheduler": _SD_BETAS,
    "KDPM2DiscreteScheduler": _SD_BETAS,
    "DPMSolverSDEScheduler": _SD_BETAS,
    "LCMScheduler": {**_SD_BETAS, "beta_schedule": "scaled_linear"},
    "TCDScheduler": {**_SD_BETAS, "beta_schedule": "scaled_linear"},
}

# Keys that `Schedule` reads.
USED = frozenset(
    {
        "beta_end",
        "beta_schedule",
        "beta_start",
        "clip_sample",
        "clip_sample_range",
        "final_sigmas_type",
        "flow_shift",
        "num_train_timesteps",
        "prediction_type",
        "rescale_betas_zero_snr",
        "set_alpha_to_one",
        "shift",
        "steps_offset",
        "timestep_spacing",
        "trained_betas",
        "use_karras_sigmas",
        "variance_type",
    }
)
# Settings with one value, or few, that leave the arithmetic as it is here. Another is refused.
ONLY: dict[str, tuple[Any, ...]] = {
    "interpolation_type": ("linear",),
    "invert_sigmas": (False,),
    "predict_epsilon": (True,),  # before prediction_type there was this
    "shift_terminal": (None, 0),
    "sigma_max": (None,),
    "sigma_min": (None,),
    "stochastic_sampling": (False,),
    "thresholding": (False,),
    "timestep_type": ("discrete",),
    "use_beta_sigmas": (False, None),
    "use_dynamic_shifting": (False,),
    "use_exponential_sigmas": (False, None),
    "use_lu_lambdas": (False, None),
    "variance_type": ("fixed_small", "fixed_large", None),
}
# Settings of a solver: each matters to one sampler alone (see `unsupported_settings`).
SOLVER = frozenset(
    {
        "algorithm_type",
        "disable_corrector",
        "euler_at_final",
        "lambda_min_clipped",
        "lower_order_final",
        "predict_x0",
        "skip_prk_steps",
        "solver_order",
        "solver_p",
        "solver_type",
        "use_flow_sigmas",
    }
)
# Keys that change nothing here, and why.
WITHOUT_EFFECT: dict[str, str] = {
    "base_image_seq_len": "read with use_dynamic_shifting alone, which is refused",
    "base_shift": "read with use_dynamic_shifting alone",
    "corrector_order": "of the SA solver, which warns",
    "dynamic_thresholding_ratio": "read with thresholding alone, which is refused",
    "max_image_seq_len": "read with use_dynamic_shifting alone",
    "max_shift": "read with use_dynamic_shifting alone",
    "noise_sampler_seed": "of DPMSolverSDEScheduler, which warns; seeds are the request's here",
    "original_inference_steps": "of few-step schedulers, which warn",
    "predictor_order": "of the SA solver",
    "sample_max_value": "read with thresholding alone",
    "tau_func": "of the SA solver",
    "tensor_format": "before 2022-09: numpy or torch",
    "time_shift_type": "read with use_dynamic_shifting alone",
    "timestep_scaling": "of few-step schedulers",
    "timestep_values": "never read by diffusers",
    "trained_at": "never read by diffusers",
}
KEYS = frozenset(USED | ONLY.keys() | SOLVER | WITHOUT_EFFECT.keys())

_DPM_TYPES = ("midpoint", "logrho", "bh1", "bh2")  # diffusers takes all but heun for midpoint
_SAME = {
    "solver_order": (2,),
    "solver_type": _DPM_TYPES,
    "lambda_min_clipped": (None, -float("inf")),
    "use_flow_sigmas": (False,),
}
_FOLLOWS: dict[str, dict[str, tuple[Any, ...]]] = {
    "dpmpp-2m": {**_SAME, "algorithm_type": ("dpmsolver++", "deis")},
    "dpmpp-2m-sde": _SAME,
    "unipc": {
        "solver_order": (2,),
        "solver_type": ("bh2", "midpoint", "heun", "logrho"),
        "predict_x0": (True,),
        "disable_corrector": ([], None),
        "solver_p": (None,),
        "use_flow_sigmas": (False,),
    },
    "pndm": {"skip_prk_steps": (True,)},
}


def class_of(config: Config) -> str:
    """The class of the file; "" where it names none."""
    return str(config.get("_class_name") or "")


def with_index_class(config: Config, named: Any) -> dict[str, Any]:
    """The configuration with the class that `model_index.json` names, ["diffusers", class], as diffusers opens it.

    The file's own class stands where the index names none that Mezzotint knows.
    """
    name = named[1] if isinstance(named, list | tuple) and len(named) == 2 else None
    known = isinstance(name, str) and name and (name in FOLLOWED or name in WARNED)
    return {**config, "_class_name": name} if known else dict(config)


def check(config: Config) -> None:
    """ModelError for a class, a key or a value that Mezzotint does not know, by its name."""
    name = class_of(config)
    if name not in FOLLOWED and name not in WARNED:
        hint = nearest(name, sorted(FOLLOWED | WARNED.keys()))
        raise ModelError(
            f"the scheduler is a {name!r}, whose noise Mezzotint does not know{hint}; "
            "put a scheduler_config.json of a class that it follows there, such as DDIMScheduler"
        )
    if unknown := unknown_keys(config, KEYS):
        raise ModelError(
            f"the scheduler's configuration has an unknown key {unknown[0]!r}{nearest(unknown[0], sorted(KEYS))}"
        )
    for key, allowed in ONLY.items():
        if key in config and config[key] not in allowed:
            known = ", ".join(str(value) for value in allowed if value is not None)
            raise ModelError(
                f"the scheduler's {key} is {config[key]!r}; Mezzotint knows {known or 'none'}"
                f"{nearest(str(config[key]), [str(value) for value in allowed])}"
            )


def correct_config(config: Config) -> dict[str, Any]:
    """The configuration as the stock text-to-image pipeline corrects it on opening (files of 2022).

    Latents are never clipped, and `steps_offset` is 1. Nothing changes in a file that says both.
    """
    changes: dict[str, Any] = {}
    name = class_of(config)
    if name.startswith("FlowMatch"):
        return dict(config)
    if config.get("clip_sample", name in CLIPS) is not False:
        changes["clip_sample"] = False
    if name and name not in _WITHOUT_OFFSET and config.get("steps_offset") != 1:
        changes["steps_offset"] = 1
    return {**config, **changes}


CLIPS = frozenset({"DDIMScheduler", "DDPMScheduler", "DDIMParallelScheduler", "DDPMParallelScheduler"})
_WITHOUT_OFFSET = frozenset({"DPMSolverSinglestepScheduler"})


def unsupported_settings(config: Config, sampler: str) -> list[str]:
    """`key value` of each setting that this sampler's counterpart in diffusers follows, and the sampler not."""
    c = dict(config)
    if sampler == "pndm" and class_of(c) == "PNDMScheduler":
        c.setdefault("skip_prk_steps", False)
    if (
        sampler == "unipc"
        and c.get("lower_order_final") is False
        and c.get("final_sigmas_type") != "sigma_min"
    ):
        return ["lower_order_final False"]
    follows = _FOLLOWS.get(sampler, {})
    return [f"{key} {c[key]!r}" for key, known in follows.items() if key in c and c[key] not in known]


def remarks(config: Config) -> list[str]:
    """One sentence for each thing that a user of this model should know."""
    said = []
    if reason := WARNED.get(class_of(config)):
        said.append(f"the model's scheduler is a {class_of(config)}: {reason}")
    for sampler in _FOLLOWS:
        if left := unsupported_settings(config, sampler):
            said.append(
                f"the model's scheduler asks for {', '.join(left)}; {sampler} takes its own steps here"
            )
    if config.get("rescale_betas_zero_snr") and config.get("prediction_type", "epsilon") == "epsilon":
        said.append(
            "the model has zero terminal SNR and predicts epsilon, which says nothing where no signal is left; "
            "the first step is unreliable (v_prediction is what such models are trained with)"
        )
    return said
