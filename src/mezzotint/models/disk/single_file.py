"""One `.safetensors` file in the original Stable Diffusion layout, as web interfaces share them.

Such files come without CLIP's vocabulary, so it is shipped: `bundles/clip-vocabulary/merges.txt.gz` holds the first
48,894 merges of `bpe_simple_vocab_16e6.txt` of CLIP (OpenAI, MIT), as in the PyPI package open_clip_torch 3.3.0 (sha256
924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a). The written files have the bytes of those that the
hub's models come with.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mezzotint.errors import ModelError
from mezzotint.files import key_of, put, remembered_digest
from mezzotint.models.disk import original_layout as layout
from mezzotint.models.disk.bundle import Bundle, digest_of
from mezzotint.models.disk.parts import NetworkFiles
from mezzotint.models.disk.weights import Tensor, TensorFile

MERGES = "9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a"  # sha256 of merges.txt
_SHIPPED = Path(__file__).parents[2] / "bundles" / "clip-vocabulary" / "merges.txt.gz"


def clip_vocabulary(cache: Path) -> Path:
    """A tokenizer folder in the cache with vocab.json and merges.txt, written where it is not whole.

    ModelError where this copy of the package is damaged, OutputError where the cache cannot be written.
    """
    folder = cache / "tokenizers" / MERGES[:16]
    try:
        text = gzip.decompress(_SHIPPED.read_bytes()).decode()
    except (OSError, EOFError, ValueError, zlib.error):
        text = ""
    if hashlib.sha256(text.encode()).hexdigest() != MERGES:
        raise ModelError(f"{_SHIPPED} is missing or damaged; install Mezzotint again")
    vocabulary = json.dumps({token: i for i, token in enumerate(_tokens(text))}, ensure_ascii=False)
    for name, content in (("vocab.json", vocabulary), ("merges.txt", text)):
        place, data = folder / name, content.encode()
        if not place.is_file() or place.read_bytes() != data:
            put(place, data, f"keep CLIP's vocabulary in {folder}")
    return folder


def _tokens(merges: str) -> list[str]:
    """All tokens in the order of their ids: bytes, bytes that end a word, merges, start, end."""
    from tokenizers.pre_tokenizers import ByteLevel

    alphabet = sorted(ByteLevel.alphabet())  # bytes that print stand for themselves, the others follow them
    joined = [line.replace(" ", "") for line in merges.splitlines()[1:]]
    ends = [letter + "</w>" for letter in alphabet]
    return [*alphabet, *ends, *joined, "<|startoftext|>", "<|endoftext|>"]


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
