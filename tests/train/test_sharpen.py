"""Sharpening a decoder: it comes nearer to the scenes, and what latents mean does not change."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers.models import AutoencoderKL

from mezzotint.train.sharpen import SharpenConfig, train_sharpen
from support.pictures import make_pictures


def test_sharpening_changes_the_decoder_alone(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures")
    torch.manual_seed(0)
    AutoencoderKL(
        block_out_channels=(4, 4, 4, 4), norm_num_groups=2, latent_channels=4, layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    ).save_pretrained(tmp_path / "vae")  # fmt: skip
    loop = {
        "steps": 6,
        "warmup": 1,
        "log_every": 1,
        "sheet_minutes": 60,
        "save_minutes": 60,
        "precision": "fp32",
    }
    train_sharpen(
        SharpenConfig.from_mapping(
            {"vae": tmp_path / "vae", "data": tmp_path / "pictures", "out": tmp_path / "run", "batch": 4, "loop": loop}, "test"
        )
    )  # fmt: skip
    before, after = (
        AutoencoderKL.from_pretrained(tmp_path / name).state_dict() for name in ("vae", "run/model")
    )
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed and all(name.startswith("decoder.") for name in changed)
    errors = [
        row["l1"]
        for row in map(json.loads, (tmp_path / "run/log.jsonl").read_text().splitlines())
        if "l1" in row
    ]
    assert errors[-1] < errors[0]
