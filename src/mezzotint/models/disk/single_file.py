"""One `.safetensors` file in the original Stable Diffusion layout, as web interfaces share them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mezzotint.errors import ModelError
from mezzotint.models.cache import key_of, remembered_digest
from mezzotint.models.disk import original_layout as layout
from mezzotint.models.disk.bundle import Bundle, digest_of
from mezzotint.models.disk.clip_vocabulary import clip_vocabulary
from mezzotint.models.disk.parts import NetworkFiles
from mezzotint.models.disk.tensors import Tensor, TensorFile

# In the second generation this bias is spread wider in v-prediction models; ComfyUI tells them so too.
_TELLTALE = layout.UNET + "output_blocks.11.1.transformer_blocks.0.norm1.bias"
_V_SPREAD = 0.09
_OTHERS = {
    "conditioner.embedders.": "Stable Diffusion XL",
    "model.diffusion_model.joint_blocks.": "Stable Diffusion 3",
    "model.diffusion_model.double_blocks.": "Flux",
    "double_blocks.": "Flux",
    "lora_unet_": "a LoRA",
    "lora_te_": "a LoRA",
    "control_model.": "a ControlNet",
}


def read_single_file(path: Path, cache: Path) -> Bundle:
    """The model in a file. ModelError where the file is damaged or holds something else."""
    path = path.resolve()
    file = TensorFile.open(path)
    open_clip = _check(file)
    v = _predicts_v(file, open_clip)
    content = remembered_digest(path, cache)

    def part(name: str, config: dict[str, Any], weights: Callable[[], Mapping[str, Tensor]]) -> NetworkFiles:
        return NetworkFiles(name, path, config, key_of(name, config, content), weights)

    unet, vae = layout.part_of(file, layout.UNET), layout.part_of(file, layout.VAE)
    text = layout.part_of(file, layout.OPEN_CLIP if open_clip else layout.CLIP)
    states = (layout.open_clip_weights if open_clip else layout.clip_weights)(text)
    sample = 96 if v and open_clip else 64
    try:
        parts = (
            part("unet", layout.unet_config(unet, open_clip, sample), lambda: layout.unet_weights(unet)),
            part("vae", layout.vae_config(vae), lambda: layout.vae_weights(vae)),
            part("text_encoder", layout.text_config(states, open_clip), lambda: states),
        )
    except KeyError as error:
        raise ModelError(f"{path}: the weight {error.args[0]} is missing") from error
    scheduler, tokenizer = _scheduler(v, "ztsnr" in file), _tokenizer(path, cache)
    digest = digest_of(parts, scheduler, tokenizer, cache)
    return Bundle(path.stem, path, digest, *parts, scheduler, tokenizer, "!" if open_clip else None)


def _check(file: TensorFile) -> bool:
    """Whether the text encoder is OpenCLIP (2.x), not CLIP (1.x); ModelError where it is no such model."""
    for start, kind in _OTHERS.items():
        if any(name.startswith(start) for name in file):
            raise ModelError(f"{file.path} holds {kind}; Mezzotint opens Stable Diffusion 1.x and 2.x")
    for start, what in (
        (layout.UNET, "denoiser"),
        (layout.VAE, "autoencoder"),
        ("cond_stage_model.", "text encoder"),
    ):
        if not any(name.startswith(start) for name in file):
            raise ModelError(
                f"{file.path} holds no {what} ({start}*); it is not a whole Stable Diffusion model"
            )
    return any(name.startswith(layout.OPEN_CLIP) for name in file)


def _predicts_v(file: TensorFile, open_clip: bool) -> bool:
    """Whether the network predicts v: said by the file, by the settings beside it, or told by its weights."""
    said = file.metadata.get("modelspec.prediction_type", "")
    if said or "v_pred" in file:
        return "v_pred" in file or said.startswith("v")
    beside = file.path.with_suffix(".yaml")
    if beside.is_file() and beside.stat().st_size < 1 << 20:
        return "parameterization" in (text := beside.read_text(errors="replace")) and '"v"' in text.replace(
            "'", '"'
        )
    return (
        open_clip
        and _TELLTALE in file
        and float(np.std(file[_TELLTALE].read().astype(np.float64))) > _V_SPREAD
    )


def _scheduler(v: bool, zero_snr: bool) -> dict[str, Any]:
    return {
        "_class_name": "PNDMScheduler",
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "num_train_timesteps": 1000,
        "prediction_type": "v_prediction" if v else "epsilon",
        "rescale_betas_zero_snr": zero_snr,
        "set_alpha_to_one": False,
        "skip_prk_steps": True,
        "steps_offset": 1,
    }


def _tokenizer(path: Path, cache: Path) -> Path:
    """A `tokenizer` folder beside the file, else CLIP's vocabulary."""
    beside = path.parent / "tokenizer"
    return beside if beside.is_dir() else clip_vocabulary(cache)
