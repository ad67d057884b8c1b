"""The loop: N + M steps are N then M to the bit, and every network of the bundle trains and opens again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mezzotint.errors import ConfigError
from mezzotint.train.config import LoopConfig
from mezzotint.train.loop import train
from mezzotint.train.vae import VaeConfig, VaeTask
from pictures import make_pictures

LOOP = {"log_every": 2, "sheet_minutes": 60, "save_minutes": 60, "warmup": 2, "bf16": False}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("pictures"))


def config(pictures: Path, out: Path, steps: int) -> VaeConfig:
    return VaeConfig(
        data=pictures, out=out, channels=(4, 4, 4, 8), groups=2, batch=2, crop=32, loop=LoopConfig(steps=steps, **LOOP)
    )  # fmt: skip


def run(pictures: Path, out: Path, steps: int) -> dict[str, torch.Tensor]:
    settings = config(pictures, out, steps)
    train(VaeTask(settings), settings.loop, out)
    return load_file(out / "checkpoint/state.safetensors")


def test_five_steps_are_three_then_two_to_the_bit(pictures: Path, tmp_path: Path) -> None:
    whole = run(pictures, tmp_path / "whole", 5)
    first = run(pictures, tmp_path / "parts", 3)
    parts = run(pictures, tmp_path / "parts", 5)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert any(not torch.equal(first[name], parts[name]) for name in whole)
    steps = [json.loads(line)["step"] for line in (tmp_path / "whole/log.jsonl").read_text().splitlines()]
    assert steps == [2, 4, 5]
    assert (tmp_path / "whole/sheet.png").exists()


def test_the_autoencoder_opens_in_diffusers_with_a_factor_of_48(pictures: Path, tmp_path: Path) -> None:
    from diffusers.models import AutoencoderKL

    run(pictures, tmp_path, 2)
    vae = AutoencoderKL.from_pretrained(tmp_path / "model")
    x = torch.zeros(1, 3, 128, 128)
    latents = vae.encode(x).latent_dist.mean
    assert x.numel() == 48 * latents.numel()
    assert vae.config.scaling_factor > 0


def test_a_checkpoint_half_written_is_not_used(pictures: Path, tmp_path: Path) -> None:
    run(pictures, tmp_path, 2)
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")  # killed between the two renames
    (tmp_path / "checkpoint.part").mkdir()
    (tmp_path / "checkpoint.part/state.json").write_text("{")
    run(pictures, tmp_path, 3)
    assert json.loads((tmp_path / "checkpoint/state.json").read_text())["step"] == 3


def test_another_network_in_the_folder_is_an_error(pictures: Path, tmp_path: Path) -> None:
    run(pictures, tmp_path, 1)
    other = config(pictures, tmp_path, 2).model_copy(update={"channels": (4, 4, 4, 12)})
    with pytest.raises(ConfigError, match="another network"):
        train(VaeTask(other), other.loop, tmp_path)
