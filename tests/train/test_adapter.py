"""The adapter: captions from every kind of file, a loss that falls, and what comes out opens in its model's place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mezzotint import open_model
from mezzotint.errors import ConfigError, DataError, ModelError
from mezzotint.models.texts.encoders import ADAPTER
from mezzotint.train.adapter import AdapterConfig, AdapterTask, read_captions, train_adapter
from mezzotint.train.config import LoopConfig
from support import tiny

CAPTIONS = [
    f"the {noun} on the {place}"
    for noun in ("cat", "moon", "house")
    for place in ("moon", "cat", "sea", "bed")
]
LOOP = LoopConfig(
    steps=30, log_every=30, sheet_minutes=60, save_minutes=60, warmup=5, lr=0.01, ema=0.5, precision="fp32"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    tiny.make_pipeline(folder / "model", text_layers=1, channels=(32,), vae_channels=(32,))
    (folder / "captions.txt").write_text("\n".join(CAPTIONS))
    return folder


@pytest.fixture(autouse=True)
def _own_cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))


def config(home: Path) -> AdapterConfig:
    settings = {
        "model": str(home / "model"),
        "captions": [home / "captions.txt"],
        "out": home / "run",
        "loop": LOOP,
    }
    return AdapterConfig(**settings, width=16, layers=1, heads=2, batch=6)  # type: ignore[arg-type]


def test_what_is_trained_opens_as_an_encoder_of_its_model(home: Path) -> None:
    task = AdapterTask(config(home))
    with torch.no_grad():
        before = task.sheet(task.module)[1]
    train_adapter(config(home))
    *_, after = map(json.loads, (home / "run/log.jsonl").read_text().splitlines())
    assert after["eval_error"] < 0.8 * before["error"]
    assert {path.name for path in (home / "run/model").iterdir()} == {"config.json", "model.safetensors"}
    shutil.copytree(home / "run/model", home / "model" / ADAPTER)
    model = open_model(home / "model", dtype="float32", runtime="openvino")
    own, adapted = (
        np.stack([model.encode_text(text, name) for text in task.held]) for name in ("", "bert-adapted")
    )
    error = np.square((adapted - own) / task.adapter.std.numpy()).mean()
    assert error == pytest.approx(after["eval_error"], rel=0.02)  # float16 weights, another runtime


def test_every_batch_is_a_function_of_its_step_and_has_the_empty_text(home: Path) -> None:
    task = AdapterTask(config(home))
    seen = []
    look = task._targets
    task._targets = lambda texts: (seen.append(texts), look(texts))[1]  # type: ignore[func-returns-value,method-assign]
    losses = [task.loss(task.module, step)[0].item() for step in (3, 3, 4)]
    assert seen[0] == seen[1] != seen[2]
    assert losses[0] == losses[1]
    assert all(texts[0] == "" and len(texts) == 6 for texts in seen)
    assert not set(task.held) & {text for texts in seen for text in texts}


def test_captions_are_read_from_shards_picture_folders_and_texts(tmp_path: Path) -> None:
    (tmp_path / "0000-captions.json").write_text('["a cat", " a dog "]')
    (tmp_path / "0001-captions.json").write_text('["a cat", "a cow"]')
    (tmp_path / "0000-states.npy").write_bytes(b"no text")
    rows = [{"file_name": "a.png", "captions": ["a hen", ""]}, {"text": "an owl"}, {"file_name": "b.png"}]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "more.txt").write_text("a pig\n\na cat\n")
    animals = ["a cat", "a cow", "a dog", "a hen", "a pig", "an owl"]
    assert read_captions([tmp_path, tmp_path / "more.txt"]) == animals


def test_mistakes_are_told(home: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no captions in"):
        read_captions([tmp_path])
    (tmp_path / "captions.json").write_text("{")
    with pytest.raises(DataError, match="cannot read captions"):
        read_captions([tmp_path / "captions.json"])
    (tmp_path / "one.txt").write_text("a cat")
    with pytest.raises(DataError, match="two captions at least"):
        AdapterTask(config(home).model_copy(update={"captions": (tmp_path / "one.txt",)}))
    with pytest.raises(ModelError, match="nowhere"):
        AdapterTask(config(home).model_copy(update={"model": str(home / "nowhere")}))
    (tmp_path / "adapter.yaml").write_text("out: x\ncaptions: [y]\nloop: {steps: 1}\nphrase: 0.3\n")
    with pytest.raises(ConfigError, match="did you mean 'phrases'"):
        AdapterConfig.read(tmp_path / "adapter.yaml")
    with pytest.raises(ConfigError, match="multiple"):
        AdapterTask(config(home).model_copy(update={"heads": 3}))
