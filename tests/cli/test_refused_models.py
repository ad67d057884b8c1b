"""A damaged or foreign model is one line, exit code 2, and no output folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load_file, save_file

if TYPE_CHECKING:
    from conftest import Cli

UNET = Path("unet/diffusion_pytorch_model.safetensors")


def refused(cli: Cli, model: Path) -> str:
    said = cli("generate", "a cat", "--model", model, "--dtype", "float32", "--out", "pictures")
    assert said.code == 2
    assert "pictures" not in os.listdir()
    return said.err


def test_missing_weights(cli: Cli, real: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(real, tmp_path / "model"))
    (model / UNET).unlink()
    assert "unet" in refused(cli, model)


def test_nan_weights(cli: Cli, real: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(real, tmp_path / "model"))
    weights = load_file(model / UNET)
    weights["conv_in.weight"][0, 0, 0, 0] = np.nan
    save_file(weights, model / UNET)
    assert "conv_in.weight" in refused(cli, model)


def test_a_pickle(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(b"\x80\x02cos\nsystem\n(S'touch owned'\ntR.")
    assert "model.ckpt" in refused(cli, path)
    assert os.listdir() == []
