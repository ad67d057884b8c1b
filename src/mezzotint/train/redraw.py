"""Pictures that a latent model drew on from half-way noise (SDEdit, 2108.01073): known things in the model's own hand."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionImg2ImgPipeline
from PIL import Image

from mezzotint.data.subsets import Row, read

_AT_ONCE, _STEPS = 50, 16
_STRENGTHS = (0.45, 0.55, 0.65, 0.75)
_SCALES = (1.5, 3.0, 4.0)


@dataclass(frozen=True)
class Redrawn:
    """A picture, RGB, and what it was of."""

    object: str
    image: Image.Image


def redrawn(
    model: Path, data: Path, rows: Sequence[Row], count: int, folder: Path
) -> dict[str, list[Redrawn]]:
    """So many of each style, drawn once into `folder` and read from there ever after."""
    chosen = random.Random("redrawn").sample(list(rows), len(rows))
    styles: dict[str, list[Row]] = defaultdict(list)
    for row in chosen:
        if len(styles[row["style"]]) < count:
            styles[row["style"]].append(row)
    if not (folder / "done.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _draw(model, data, [row for some in styles.values() for row in some], folder)
        (folder / "done.json").write_text(json.dumps({"model": model.name, "count": count}))
    return {
        style: [Redrawn(row["object"], _opened(folder / Path(row["file_name"]).name)) for row in some]
        for style, some in styles.items()
    }


def _draw(model: Path, data: Path, rows: Sequence[Row], folder: Path) -> None:
    """Each of its name, from a noise and by a guidance of its own."""
    pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(
        model, local_files_only=True, safety_checker=None, torch_dtype=torch.float32
    )
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    side = pipeline.vae_scale_factor * pipeline.unet.config.sample_size
    for start in range(0, len(rows), _AT_ONCE):
        part, rng = rows[start : start + _AT_ONCE], random.Random(f"redrawn {start}")
        images = pipeline(
            prompt=[row["object"] for row in part],
            image=[_on_white(read(data / row["file_name"], side)) for row in part],
            strength=rng.choice(_STRENGTHS), guidance_scale=rng.choice(_SCALES), num_inference_steps=_STEPS,
            generator=[torch.Generator().manual_seed(start + i) for i in range(len(part))],
        ).images  # fmt: skip
        for row, image in zip(part, images, strict=True):
            image.save(folder / Path(row["file_name"]).name)


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _on_white(picture: Image.Image) -> Image.Image:
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, (0, 0), picture)
    return white
