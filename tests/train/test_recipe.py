"""The recipe of the bundle on a small scale: each network trains, and what comes out opens and draws."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mezzotint import Request, generate, open_model
from mezzotint.errors import ModelError
from mezzotint.models.image_text import ImageText
from mezzotint.models.texts import bert
from mezzotint.train import text_tower
from mezzotint.train.clip import ClipConfig, ConvTower, TextTower, VitTower
from mezzotint.train.config import LoopConfig
from mezzotint.train.diffusion import DiffusionConfig, train_diffusion
from mezzotint.train.pair import PairTask, train_clip
from mezzotint.train.text_tower import TextTask
from mezzotint.train.texts import Teacher
from mezzotint.train.vae import VaeConfig, train_vae
from support.pictures import COLORS, make_pictures

LOOP = LoopConfig(steps=2, log_every=1, sheet_minutes=60, save_minutes=60, warmup=1, precision="fp32")
SMALL = TextTower(width=32, layers=1, heads=2, intermediate=32)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with pictures, and few captions to learn words from."""
    folder = tmp_path_factory.mktemp("home")
    make_pictures(folder / "pictures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_tower, "CAPTIONS", 200)
        yield folder


def words(home: Path, out: str, **more: object) -> ClipConfig:
    settings = {
        "data": home / "pictures",
        "out": home / out,
        "cache": home,
        "vocabulary": 1024,
        "batch": 4,
        "absent": 2,
    }
    return ClipConfig(**settings, text=SMALL, dim=16, loop=LOOP, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "tower",
    [
        VitTower(size=32, patch=16, width=16, layers=1, heads=2),
        ConvTower(size=32, widths=(4, 8, 8, 16), depths=(1, 1, 1, 1)),
    ],
)
def test_a_pair_trains_and_judges(home: Path, tower: VitTower | ConvTower) -> None:
    config = words(home, f"pair-{tower.kind}", vision=tower)
    train_clip(config)
    pair = ImageText.open(config.out / "model")
    assert pair.embed_texts(["a red ball", "a green leaf"]).shape == (2, 16)
    assert (pair.path / "objects.json").exists()
    more = words(home, f"more-{tower.kind}", vision=tower, start=pair.path, tokenizer=pair.path, worn=1.0)
    begun = PairTask(more)
    learned = load_file(pair.path / "model.safetensors")
    assert all(torch.equal(value.half(), learned[name]) for name, value in begun.pair.state_dict().items())


def test_worn_pictures_are_other_pictures_of_the_same(home: Path) -> None:
    task = PairTask(
        words(home, "worn", vision=ConvTower(size=32, widths=(4, 8, 8, 16), depths=(1, 1, 1, 1)), worn=0.5)
    )
    scenes = [task.composer.single(random.Random(i)) for i in range(16)]
    plain, some = task.images(scenes), task.images(scenes, random.Random(0))
    moved = (plain - some).abs().mean((1, 2, 3))
    assert plain.shape == (16, 3, 32, 32) and 3 < (moved == 0).sum() < 13
    assert moved.max() < 0.6 and torch.equal(some, task.images(scenes, random.Random(0)))


def test_words_start_as_the_teachers_and_stay(home: Path) -> None:
    task = TextTask(words(home, "words"))
    embedding = task.text.get_input_embeddings().weight
    assert not embedding.requires_grad
    ids = task.tokenizer.convert_tokens_to_ids(["ball</w>", "leaf</w>"])
    assert all(i is not None for i in ids)
    target = torch.stack([task.teacher.piece(word, whole=True) for word in ("ball", "leaf")])
    assert torch.cosine_similarity(embedding[ids[0]], embedding[ids[0]], dim=0) == pytest.approx(1, abs=1e-5)
    assert torch.linalg.norm(target[0] - target[1]) > 0.1


def test_from_pictures_to_a_model_that_draws(home: Path) -> None:
    vae = VaeConfig(
        data=home / "pictures", out=home / "vae", channels=(4, 4, 4, 8), groups=2, batch=2, crop=32, loop=LOOP
    )
    train_vae(vae)
    train_clip(words(home, "text"))
    train_diffusion(
        DiffusionConfig(
            data=home / "pictures",
            vae=home / "vae/model",
            text=home / "text/model",
            cache=home / "cache",
            out=home / "diffusion",
            channels=(8, 16),
            attention=(False, True),
            heads=2,
            groups=4,
            batch=4,
            loop=LOOP,
        )
    )
    model = open_model(home / "diffusion/model", dtype="float32")
    [picture] = generate(Request(prompt="a red ball", steps=2), model)
    assert picture.image.size == (128, 128)
    assert np.asarray(picture.image).std() > 0
    assert set(COLORS) >= {"red ball"}


def test_without_the_teacher_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bert, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"mezzotint\[bert\]"):
        Teacher(tmp_path)
