"""Training on free wording: what is learned comes nearer, captions stay, and the encoder opens in its model's place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import mezzotint
from mezzotint.data.scenes import CanonicalComposer
from mezzotint.train import free_wording
from mezzotint.train.free_wording import FreeWordingConfig, train_free_wording, words_of_objects
from support import tiny
from support.pictures import make_pictures


class Letters:
    """In a BERT's place: a text is the letters that it has."""

    vocab = {"ball": 0, "balls": 1, "leaf": 2, "leafy": 3, "zzz": 4}  # noqa: RUF012

    def __init__(self, cache: object = None):
        pass

    def embed(self, texts: list[str]) -> Tensor:
        counts = torch.tensor([[float(text.count(chr(97 + i))) for i in range(26)] for text in texts])
        return torch.nn.functional.normalize(counts + 1e-3, dim=-1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(free_wording, "Teacher", Letters)
    make_pictures(tmp_path / "pictures")
    tiny.make_pipeline(tmp_path / "model", text_layers=1, channels=(32,), vae_channels=(32,))
    return tmp_path


def settings(home: Path, **loop: Any) -> dict[str, Any]:
    return {
        "model": str(home / "model"), "data": home / "pictures", "out": home / "run", "batch": 8, "cosine": 0.3,
        "loop": {"steps": 40, "warmup": 2, "lr": 0.003, "muon_lr": 0.01, "ema": 0.5, "precision": "fp32",
                 "log_every": 10, "sheet_minutes": 60, "save_minutes": 60, **loop},
    }  # fmt: skip


def test_words_belong_to_one_object_and_are_near(home: Path) -> None:
    composer = CanonicalComposer(home / "pictures")
    words = words_of_objects(composer, Letters(), ["balls", "leafy", "zzz"], 0.62)  # type: ignore[arg-type]
    said = [word for found in words.values() for word in found]
    assert len(said) == len(set(said))
    assert "zzz" not in said


def test_free_wording_comes_nearer_and_the_encoder_opens(home: Path) -> None:
    train_free_wording(FreeWordingConfig.from_mapping(settings(home), "test"))
    rows = [json.loads(line) for line in (home / "run/log.jsonl").read_text().splitlines()]
    errors = [row["free_error"] for row in rows if "free_error" in row]
    assert errors[-1] < errors[0]
    made = home / "run/model/text_encoder"
    for file in made.iterdir():
        (home / "model/text_encoder" / file.name).write_bytes(file.read_bytes())
    assert mezzotint.open_model(str(home / "model")).encode_text("a ball").shape[0] > 0
