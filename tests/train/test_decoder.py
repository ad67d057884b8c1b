"""The small decoder learns from the full one, and what is saved opens in a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mezzotint.errors import DataError
from mezzotint.models.openvino.small import small_part
from mezzotint.models.steering.small_decoder import SmallDecoder
from mezzotint.train.config import LoopConfig
from mezzotint.train.decoder import DecoderConfig, roughen, train_decoder
from support import tiny
from support.pictures import make_pictures

LOOP = LoopConfig(steps=30, log_every=5, sheet_minutes=60, save_minutes=60, warmup=2, precision="fp32", ema=0)


def test_it_comes_nearer_to_the_full_decoder_and_opens(tmp_path: Path) -> None:
    tiny.make_pipeline(tmp_path / "model", text_layers=1, channels=(32,), vae_channels=(32, 32, 32, 32))
    make_pictures(tmp_path / "pictures")
    train_decoder(
        DecoderConfig(
            vae=tmp_path / "model/vae", data=tmp_path / "pictures", out=tmp_path / "out", channels=8, blocks=1, batch=8,
            samples=16, loop=LOOP,
        )
    )  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    errors = [line["l1"] for line in lines if "l1" in line]
    assert errors[-1] < 0.9 * errors[0]
    (tmp_path / "out/model").rename(tmp_path / "model/decoder_small")
    part = small_part(tmp_path / "model", tmp_path / "cache")
    assert part is not None
    assert SmallDecoder.open(part)(torch.zeros(1, 4, 8, 8)).shape == (1, 3, 64, 64)


def test_a_share_of_the_latents_is_made_smooth() -> None:
    z = torch.randn(200, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    mixed = roughen(z, 0.5, torch.Generator().manual_seed(1))
    kept = (mixed == z).flatten(1).all(1)
    assert 70 < kept.sum() < 130
    assert mixed[~kept].std((2, 3)).mean() < 0.8 * z.std((2, 3)).mean()


def test_decoder_without_pictures_says_how_to_make_them(tmp_path: Path) -> None:
    tiny.make_pipeline(tmp_path / "model", text_layers=1, channels=(32,), vae_channels=(32, 32))
    config = DecoderConfig(vae=tmp_path / "model/vae", data=tmp_path, out=tmp_path / "out", loop=LOOP)
    with pytest.raises(DataError, match="mezzotint data emoji"):
        train_decoder(config)
