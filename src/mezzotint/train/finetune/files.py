"""The finished model in the files that Mezzotint and diffusers open."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import diffusers
from torch import nn

from mezzotint.models.disk.bundle import Bundle
from mezzotint.models.disk.source import FILE_NAME as DEFAULTS
from mezzotint.models.known_words import KnownWords
from mezzotint.models.networks import torch_text, torch_vae
from mezzotint.train.saving import forget_paths

_KEPT = ("*.json", "*.txt", "*.safetensors")
_PARTS: dict[str, tuple[str | None, str | None]] = {
    "feature_extractor": (None, None),
    "safety_checker": (None, None),
    "text_encoder": ("transformers", "CLIPTextModel"),
    "tokenizer": ("transformers", "CLIPTokenizer"),
    "unet": ("diffusers", "UNet2DConditionModel"),
    "vae": ("diffusers", "AutoencoderKL"),
}


def write_pixels(unet: nn.Module, scheduler: Mapping[str, Any], folder: Path) -> None:
    """What `DDPMPipeline.from_pretrained` and `open_model` open."""
    _unet(unet, folder)
    _index(folder, "DDPMPipeline", scheduler, {"unet": ("diffusers", "UNet2DModel")})


def write_text_to_image(unet: nn.Module, bundle: Bundle, scheduler: Mapping[str, Any], folder: Path) -> None:
    """What `StableDiffusionPipeline.from_pretrained` and `open_model` open; all but the UNet is as it was."""
    _unet(unet, folder)
    if bundle.path.is_dir():
        for part in sorted(bundle.path.iterdir()):
            if part.is_dir() and part.name not in ("unet", "scheduler"):
                _copy_part(part, folder / part.name)
    else:  # a single file has its parts inside
        torch_vae(bundle.vae).save_pretrained(folder / "vae")
        torch_text(bundle.text_encoder).save_pretrained(folder / "text_encoder")
        _copy_part(bundle.tokenizer, folder / "tokenizer")
    _index(folder, "StableDiffusionPipeline", scheduler, _PARTS)


def write_facts(base: Path, folder: Path, captions: Iterable[str]) -> None:
    """What the model that was fine-tuned says of itself: its defaults, and its words with those of the captions."""
    if (base / DEFAULTS).is_file():
        shutil.copyfile(base / DEFAULTS, folder / DEFAULTS)
    if base.is_dir() and (known := KnownWords.read(base)):
        known.with_captions(captions).write(folder)


def _unet(unet: Any, folder: Path) -> None:
    """In float32: what was sampled on the way is what is kept."""
    unet.save_pretrained(folder / "unet")
    forget_paths(folder / "unet")


def _copy_part(part: Path, target: Path) -> None:
    files = [file for pattern in _KEPT for file in part.glob(pattern)]
    if files:
        target.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, target / file.name)


def _index(folder: Path, kind: str, scheduler: Mapping[str, Any], parts: Mapping[str, Any]) -> None:
    """`model_index.json` and the scheduler's config, written by hand: a model names its scheduler as data."""
    default = "DDPMScheduler" if kind == "DDPMPipeline" else "PNDMScheduler"
    config = {"_class_name": default, "_diffusers_version": diffusers.__version__} | dict(scheduler)
    index = {"_class_name": kind, "_diffusers_version": diffusers.__version__, **parts}
    index["scheduler"] = ("diffusers", config["_class_name"])
    if kind != "DDPMPipeline":
        index["requires_safety_checker"] = False
    _write(folder / "scheduler" / "scheduler_config.json", config)
    _write(folder / "model_index.json", index)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
