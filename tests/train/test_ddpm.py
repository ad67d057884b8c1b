"""A pixel model trains, and what comes out opens in diffusers and here, and is the same network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDPMPipeline

from mezzotint import Request, generate, open_model
from mezzotint.errors import ConfigError
from mezzotint.train.config import LoopConfig
from mezzotint.train.ddpm import DdpmConfig, DdpmTask, train_ddpm
from support.pictures import make_pictures

YAML = """
data: pictures
out: run
subset: all
size: 16
channels: [8, 16]
attention: [false, true]
groups: 4
head_width: 8
loop: {steps: 3}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    make_pictures(folder / "pictures")
    return folder


def config(home: Path, steps: int = 40, **more: Any) -> DdpmConfig:
    loop = LoopConfig(
        steps=steps, log_every=1, sheet_minutes=60, save_minutes=60, warmup=5, ema=0.9, precision="fp32"
    )
    settings: dict[str, Any] = {
        "data": home / "pictures",
        "out": home / "run",
        "subset": "all",
        "size": 16,
        "channels": (8, 16),
        "attention": (False, True),
        "groups": 4,
        "head_width": 8,
        "batch": 8,
    }
    return DdpmConfig(**settings | more, loop=loop)


def test_it_learns_and_opens(home: Path) -> None:
    asked = config(home)
    train_ddpm(asked)
    lines = [json.loads(line) for line in (asked.out / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert {f"eval_eps_{t}" for t in (50, 200, 500, 800)} <= {key for line in lines for key in line}

    folder = asked.out / "model"
    pipeline = DDPMPipeline.from_pretrained(folder)
    model = open_model(folder, "openvino", "float32", cache=home / "cache")
    assert (model.default_size, model.reads_text, model.schedule.clip_sample) == ((16, 16), False, 1)
    x, t = (
        np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32),
        np.full(2, 500, np.float32),
    )
    with torch.no_grad():
        theirs = pipeline.unet(torch.tensor(x), torch.tensor(t)).sample.numpy()
    assert np.abs(model.denoise(x, t, np.zeros((2, 0, 0), np.float32)) - theirs).max() < 1e-4
    [picture] = generate(Request(steps=3, sampler="ddim"), model)
    assert picture.image.size == (16, 16)


def test_a_batch_is_a_function_of_seed_and_step(home: Path) -> None:
    """So that a run that is resumed goes on as if it had not been stopped."""
    task = DdpmTask(config(home))
    one, same, other = (task.loss(task.module, step)[0].item() for step in (7, 7, 8))
    assert one == same != other
    assert DdpmTask(config(home)).loss(task.module, 7)[0].item() == one
    assert DdpmTask(config(home, seed=1)).loss(task.module, 7)[0].item() != one


def test_the_sheet_shows_samples(home: Path) -> None:
    task = DdpmTask(config(home))
    with torch.no_grad():
        image, numbers = task.sheet(task.module.eval())
    assert image.size == (8 * 16, 4 * 16)
    assert all(np.isfinite(value) for value in numbers.values())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("size: 64\nchannel: 3", "did you mean 'channels'?"),
        ("attention: [true]", "one value a level"),
        ("channels: []", "channels"),
        ("size: 24\nchannels: [8, 8, 8, 8, 8]\nattention: [true, true, true, true, true]", "divisible by 16"),
        ("groups: 3", "divisible by groups"),
        ("head_width: 5", "divisible by head_width"),
        ("groups: 0", "groups"),
    ],
)
def test_a_configuration_that_fits_no_network(tmp_path: Path, wrong: str, said: str) -> None:
    keys = [line.split(":")[0] for line in wrong.splitlines()]
    kept = [line for line in YAML.splitlines() if line.split(":")[0] not in keys]
    (tmp_path / "c.yaml").write_text("\n".join([*kept, wrong]))
    with pytest.raises(ConfigError, match=r"c\.yaml") as error:
        DdpmConfig.read(tmp_path / "c.yaml")
    assert said in str(error.value)


def test_the_shipped_configuration_is_read() -> None:
    shipped = DdpmConfig.read(Path(__file__).parents[2] / "configs" / "faces.yaml")
    assert (shipped.subset, shipped.size) == ("faces", 64)
