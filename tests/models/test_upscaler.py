"""The upscaler: its graph equals the network that was trained, tiles leave no seam, recipes say what was done."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mezzotint.errors import ModelError, RequestError
from mezzotint.models.upscaler import FOLDER, Upscaler, UpscalerArch, open_upscaler
from mezzotint.request import Request


@pytest.fixture
def small(tmp_path: Path) -> Path:
    import torch

    from mezzotint.train.upscaler import UpscalerNet

    torch.manual_seed(0)
    net = UpscalerNet(UpscalerArch(channels=8, blocks=1))
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    net.save(tmp_path / "small")
    return tmp_path / "small"


def pixels(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (height, width, 3), np.uint8)


def test_upscaler_graph_equals_the_trained_network(small: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from mezzotint.train.upscaler import UpscalerNet

    net = UpscalerNet(UpscalerArch(channels=8, blocks=1))
    net.load_state_dict(
        {name: value.float() for name, value in load_file(small / "model.safetensors").items()}
    )
    given = pixels(20, 28)
    x = torch.from_numpy(given).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        wanted = net(x)[0].clamp(-1, 1).permute(1, 2, 0).numpy()
    found = Upscaler(small)(given, 2) / 127.5 - 1
    assert found.shape == (40, 56, 3)
    assert np.abs(found - wanted).max() <= 1.01 / 127.5  # a step of 8 bits, by rounding


def test_upscaler_tiles_leave_no_seam(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, upscaler = pixels(40, 70), Upscaler(small)
    whole = upscaler(given, 2)
    monkeypatch.setattr("mezzotint.models.upscaler.TILE", 16)
    parts = upscaler(given, 2)
    assert np.abs(whole.astype(int) - parts).max() <= 1


def test_upscaler_four_is_twice_twice(small: Path) -> None:
    given, upscaler = pixels(9, 12), Upscaler(small)
    np.testing.assert_array_equal(upscaler(given, 4), upscaler(upscaler(given, 2), 2))
    np.testing.assert_array_equal(upscaler(given, 1), given)


def test_upscaler_names_what_is_missing(small: Path) -> None:
    (small / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors is missing"):
        Upscaler(small)


def test_bundled_upscaler_sharpens_better_than_lanczos() -> None:
    """An edge that was made smaller comes back nearer to the truth."""
    from PIL import Image, ImageDraw

    large = Image.new("RGB", (96, 96), "white")
    draw = ImageDraw.Draw(large)
    draw.ellipse((12, 20, 84, 76), fill="#d62828", outline="black", width=4)
    small = large.resize((48, 48), Image.Resampling.LANCZOS)
    ours = open_upscaler()(np.asarray(small), 2).astype(float)
    lanczos = np.asarray(small.resize((96, 96), Image.Resampling.LANCZOS), float)
    truth = np.asarray(large, float)
    assert np.square(ours - truth).mean() < 0.8 * np.square(lanczos - truth).mean()
    assert (FOLDER / "config.json").is_file()


def test_request_keeps_its_digest_without_upscale() -> None:
    plain = Request("a cat", seed=3)
    assert "upscale" not in plain.to_json()
    assert Request("a cat", seed=3, upscale=1).digest == plain.digest
    assert Request.from_json(Request("a cat", upscale=4).to_json()).upscale == 4


@pytest.mark.parametrize("value", [0, 3, 8, "2", 2.5])
def test_request_refuses_other_factors(value: object) -> None:
    with pytest.raises(RequestError, match="upscale"):
        Request("a cat", upscale=value)  # type: ignore[arg-type]
