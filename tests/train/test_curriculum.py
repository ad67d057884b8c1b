"""The curriculum: stages that follow each other, goods kept between them, and what a stage is told."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from diffusers.models import AutoencoderKL
from transformers import CLIPTextConfig, CLIPTextModel

from mezzotint.errors import ConfigError
from mezzotint.models.known_words import KnownWords
from mezzotint.train import curriculum
from mezzotint.train.curriculum import FINISHED, CurriculumConfig, train_curriculum
from mezzotint.train.diffusion import DiffusionTask
from mezzotint.train.latents import normalize_latents
from mezzotint.train.vocabulary import build_tokenizer
from support.pictures import make_pictures


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, an autoencoder and a text encoder, all tiny."""
    folder = tmp_path_factory.mktemp("home")
    make_pictures(folder / "pictures")
    torch.manual_seed(0)
    AutoencoderKL(
        block_out_channels=(4, 4, 4, 4), norm_num_groups=2, latent_channels=4, layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    ).save_pretrained(folder / "vae")  # fmt: skip
    build_tokenizer(["a red ball", "a green leaf"], ["red", "ball"], 600, folder / "tokenizer")
    config = CLIPTextConfig(
        vocab_size=600, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        bos_token_id=598, eos_token_id=599,
    )  # fmt: skip
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    return folder


def make_config(home: Path, out: Path, stages: dict[str, dict[str, object]]) -> CurriculumConfig:
    loop = {"log_every": 1, "warmup": 1, "precision": "fp32", "save_minutes": 60, "sheet_minutes": 60}
    network = {"channels": [8, 8], "attention": [False, True], "groups": 4, "heads": 2, "batch": 5}
    base = {
        "data": str(home / "pictures"),
        "text": str(home),
        "cache": str(home / "cache"),
        "loop": loop,
        **network,
    }
    return CurriculumConfig.from_mapping(
        {"out": str(out), "vae": str(home / "vae"), "base": base, "stages": stages}, "test"
    )


def test_stages_go_on_from_the_weights_before(home: Path, tmp_path: Path) -> None:
    config = make_config(
        home, tmp_path, {"one": {"exposures": 2}, "two": {"exposures": 2, "kinds": {"count": 1}}}
    )
    stages = config.stage_configs("test")
    said: list[str] = []
    train_curriculum(config, stages, say=said.append)
    assert [line.split(":")[0] for line in said] == ["stage one", "stage two"]
    assert all((tmp_path / name / FINISHED).exists() for name in stages)
    assert stages["two"].start == tmp_path / "one" / "model" / "unet"
    assert KnownWords.read(tmp_path / "two" / "model")
    train_curriculum(config, stages, say=said.append)
    assert len(said) == 2  # nothing is left to do


def test_the_autoencoder_is_whole_or_not_there(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(home, tmp_path, {"one": {"exposures": 1}})
    stages = config.stage_configs("test")
    with monkeypatch.context() as patch:
        patch.setattr(curriculum, "forget_paths", lambda folder: sys.exit("killed"))
        with pytest.raises(SystemExit):
            train_curriculum(config, stages, say=str)
    assert not (tmp_path / "vae").exists()
    train_curriculum(config, stages, say=str)
    assert AutoencoderKL.from_pretrained(tmp_path / "vae").config.scaling_factor == 1


def test_stage_lasts_as_many_steps_as_its_exposures_take(home: Path, tmp_path: Path) -> None:
    config = make_config(home, tmp_path, {"one": {"exposures": 8}})
    stage = config.stage_configs("test")["one"]
    assert stage.with_steps(5).loop.steps == 8


def test_stage_errors_name_the_stage(home: Path, tmp_path: Path) -> None:
    config = make_config(home, tmp_path, {"one": {"exposures": 1, "varieti": 3}})
    with pytest.raises(ConfigError, match=r"stage one: unknown setting 'varieti'.*variety"):
        config.stage_configs("bundle.yaml")


def test_errors_of_objects_survive_a_checkpoint(home: Path, tmp_path: Path) -> None:
    config = make_config(home, tmp_path, {"one": {"exposures": 4}})
    stage = config.stage_configs("test")["one"].model_copy(update={"vae": home / "vae"})
    task = DiffusionTask(stage)
    for step in range(3):
        task.loss(task.module, step)
    other = DiffusionTask(stage)
    other.recall(json.loads(json.dumps(task.memory())))
    assert np.array_equal(other.errors, task.errors) and not np.allclose(task.errors, 1)
    first, second = (t.loss(task.module, 3)[0].item() for t in (task, other))
    assert first == second


def test_objects_that_are_behind_are_drawn_more_often(home: Path, tmp_path: Path) -> None:
    config = make_config(home, tmp_path, {"one": {"exposures": 4}})
    stage = config.stage_configs("test")["one"].model_copy(update={"vae": home / "vae"})
    task = DiffusionTask(stage)
    task.errors[:] = 0.5
    task.errors[2] = 4.0
    objects, _ = task._scenes(np.random.default_rng(0), 1000)
    shares = np.bincount(objects, minlength=5) / 1000
    assert shares[2] > 2.5 * np.delete(shares, 2).max() and shares.min() > 0.08


def test_normalized_latents_decode_to_the_same_pictures(home: Path) -> None:
    vae = AutoencoderKL.from_pretrained(home / "vae").eval()
    x = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        before = vae.decode(vae.encode(x).latent_dist.mean).sample
        normalize_latents(vae, x)
        latents = vae.encode(x).latent_dist.mean
        after = vae.decode(latents).sample
    assert latents.mean((0, 2, 3)).abs().max() < 1e-4 and (latents.std((0, 2, 3)) - 1).abs().max() < 1e-3
    assert (before - after).abs().max() < 1e-4 and vae.config.scaling_factor == 1.0


def test_bundle_configuration_is_valid() -> None:
    path = Path(__file__).parents[2] / "configs" / "bundle.yaml"
    config = CurriculumConfig.read(path)
    assert list(config.stage_configs(str(path))) == list(yaml.safe_load(path.read_text())["stages"])
