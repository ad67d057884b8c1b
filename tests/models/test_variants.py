"""Which weight files are opened: plain ones before variants, and what is ambiguous is said."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mezzotint.errors import ModelError
from mezzotint.models import Model, open_model
from mezzotint.models.disk.bundle import Bundle
from mezzotint.models.disk.source import find
from mezzotint.models.disk.variants import weight_file

STEM = "diffusion_pytorch_model"


def names(*variants: str) -> list[str]:
    return [f"{STEM}.{variant}.safetensors".replace("..", ".") for variant in variants]


@pytest.mark.parametrize(
    ("there", "chosen", "tells"),
    [
        (["", "fp16", "non_ema"], "", False),
        (["fp16"], "fp16", False),
        (["bf16"], "bf16", False),
        (["bf16", "fp16"], "fp16", True),
        (["ema", "non_ema"], "ema", True),
        (["non_ema"], "non_ema", True),
        (["mine"], "mine", True),
        (["mine", "fp16"], "fp16", True),
    ],
)
def test_choice_among_variants(there: list[str], chosen: str, tells: bool) -> None:
    file = weight_file(names(*there), STEM, "unet")
    assert file is not None and (file.name, file.variant) == (names(chosen)[0], chosen)
    assert bool(file.remark) is tells
    assert all(variant in file.remark for variant in there) or not tells


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        (f"{STEM}.safetensors.index.json", ""),
        (f"{STEM}.safetensors.index.fp16.json", "fp16"),
        (f"{STEM}.safetensors.fp16.index.json", "fp16"),
    ],
)
def test_index_of_shards_is_found(name: str, variant: str) -> None:
    file = weight_file([name, f"{STEM}-00001-of-00002.safetensors"], STEM, "unet")
    assert file is not None and file.is_index and (file.name, file.variant) == (name, variant)


def test_unknown_variants_are_refused_with_what_to_do() -> None:
    with pytest.raises(
        ModelError, match=rf"variants his, mine; rename the one to open to {STEM}.safetensors"
    ):
        weight_file(names("mine", "his"), STEM, "unet")


def test_names_of_others_are_no_weights() -> None:
    assert weight_file([f"{STEM}.bin", "model.safetensors", f"{STEM}.safetensors.bak"], STEM, "unet") is None


def test_fp16_folder_opens_in_float32_with_its_rounded_weights(smallest: Any, tmp_path: Path) -> None:
    """The precision of files and that of drawing are two things."""
    model = Path(shutil.copytree(smallest.folder, tmp_path / "model"))
    whole = load_file(model / "unet" / f"{STEM}.safetensors")
    for file in [*model.rglob("*.safetensors")]:
        half = {name: value.astype(np.float16) for name, value in load_file(file).items()}
        save_file(half, file.with_suffix(".fp16.safetensors"))
        file.unlink()
    opened = open_model(model, "openvino", "float32", 1, tmp_path / "cache")
    assert isinstance(opened, Model) and opened.dtype == "float32"
    bundle = find(model, tmp_path / "cache")
    assert isinstance(bundle, Bundle)
    for name, tensor in bundle.unet.stored().items():
        assert np.array_equal(
            tensor.read().astype(np.float32), whole[name].astype(np.float16).astype(np.float32)
        )


def test_ambiguous_folder_is_told_on_opening(smallest: Any, tmp_path: Path) -> None:
    model = Path(shutil.copytree(smallest.folder, tmp_path / "model"))
    plain = model / "unet" / f"{STEM}.safetensors"
    for variant in ("ema", "non_ema"):
        shutil.copy(plain, plain.with_name(f"{STEM}.{variant}.safetensors"))
    plain.unlink()
    with pytest.warns(UserWarning, match="no plain weights; ema is opened, not non_ema"):
        open_model(model, "openvino", "float32", 1, tmp_path / "cache")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (f"{STEM}-00001-of-00002.safetensors", f"{STEM}.safetensors.index.json is missing"),
        ("unet.safetensors", "rename unet.safetensors to that"),
        ("model.onnx", "weights for ONNX alone"),
    ],
)
def test_folder_without_weights_says_what_it_has(
    smallest: Any, tmp_path: Path, name: str, words: str
) -> None:
    model = Path(shutil.copytree(smallest.folder, tmp_path / "model"))
    (model / "unet" / f"{STEM}.safetensors").rename(model / "unet" / name)
    with pytest.raises(ModelError, match=words):
        open_model(model, "openvino", "float32", 1, tmp_path / "cache")
