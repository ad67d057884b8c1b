"""Pixel models give what diffusers gives for the same folder, on both runtimes, and read no text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mezzotint.errors import ModelError, RequestError
from mezzotint.models import PixelModel, open_model
from mezzotint.models.steering.loss_decoders import PixelLossDecoder
from support.tiny_pixels import CONFIGS, make_pixels

Opened = Callable[[str, str], PixelModel]
both = pytest.mark.parametrize("runtime", ["openvino", "torch"])
each = pytest.mark.parametrize("name", list(CONFIGS))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """The folder and the pipeline of each tiny model."""
    home = tmp_path_factory.mktemp("pixels")
    return {name: (home / name, make_pixels(home / name, config)) for name, config in CONFIGS.items()}


@pytest.fixture(scope="session")
def pixels(made: dict[str, tuple[Path, Any]], cache: Path) -> Opened:
    """`pixels("faces", "openvino")`, in float32, kept for the session."""
    kept: dict[tuple[str, str], PixelModel] = {}

    def get(name: str, runtime: Any) -> PixelModel:
        if (name, runtime) not in kept:
            opened = open_model(made[name][0], runtime, "float32", 1, cache)
            assert isinstance(opened, PixelModel)
            kept[name, runtime] = opened
        return kept[name, runtime]

    return get


def _rows(
    n: int, height: int = 16, width: int = 16, channels: int = 3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, channels, height, width)).astype(np.float32)
    return x, rng.uniform(0, 999, n).astype(np.float32), np.zeros((n, 0, 0), np.float32)


@both
@each
@pytest.mark.parametrize("size", [(16, 16), (24, 8)])
def test_denoise(
    made: dict[str, tuple[Path, Any]], pixels: Opened, name: str, runtime: str, size: tuple[int, int]
) -> None:
    x, t, text = _rows(2, *size, channels=CONFIGS[name].get("in_channels", 3))
    with torch.no_grad():
        theirs = made[name][1].unet(torch.tensor(x), torch.tensor(t)).sample.numpy()
    ours = pixels(name, runtime).denoise(x, t, text)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 2e-5 * max(1, np.abs(theirs).max())


@both
def test_bits_do_not_depend_on_company(pixels: Opened, runtime: str) -> None:
    """Within one padded row count: alone, in any place, beside a sick row; nor on any text."""
    model = pixels("faces", runtime)
    x, t, text = _rows(3)
    alone = model.denoise(x[1:2], t[1:2], text[1:2], rows=4)
    x[0] = np.nan
    assert np.array_equal(model.denoise(x, t, np.ones((3, 5, 7), np.float32), rows=4)[1], alone[0])
    with pytest.raises(ValueError, match="do not fit"):
        model.denoise(x, t, text, rows=2)


def test_what_a_model_tells(pixels: Opened) -> None:
    faces, plain = pixels("faces", "openvino"), pixels("plain", "openvino")
    assert (faces.name, faces.runtime, faces.dtype, faces.device) == ("faces", "openvino", "float32", "cpu")
    assert (faces.latent_channels, faces.vae_factor, faces.side_multiple) == (3, 1, 8)
    assert (plain.default_size, plain.side_multiple) == ((8, 16), 2)
    assert faces.schedule.clip_sample == 1
    assert faces.digest == pixels("faces", "torch").digest != plain.digest
    assert [faces.max_rows_at(n, n) for n in (16, 64, 256)] == [32, 2, 2]
    assert faces.threads == 1


def test_no_text_is_read(pixels: Opened) -> None:
    model = pixels("faces", "openvino")
    assert not model.reads_text
    states, told = model.encode("a cat", "negative prompt")
    assert states.shape == model.encode_text("a cat").shape == (0, 0)
    assert states.dtype == np.float32 and told is None


def test_a_picture_is_its_own_latents(pixels: Opened) -> None:
    model = pixels("faces", "openvino")
    image = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    mean, std = model.encode_picture(image)
    assert mean.shape == std.shape == (3, 16, 24) and mean.dtype == std.dtype == np.float32
    assert mean.min() >= -1 and mean.max() <= 1 and not std.any()
    assert np.array_equal(model.decode(mean[None]), image)
    with pytest.raises(RequestError, match="divide by 8, got 24x12"):
        model.encode_picture(image[:12])


def test_gray_model_reads_and_shows_gray(pixels: Opened) -> None:
    """One channel in the network; pictures have three that are the same, as bright as the eye sees the colors."""
    model = pixels("gray", "openvino")
    assert (model.latent_channels, model.default_size) == (1, (28, 28))
    shades = np.arange(256, dtype=np.uint8).reshape(16, 16)
    mean, _ = model.encode_picture(np.stack([shades] * 3, -1))
    assert mean.shape == (1, 16, 16) and mean.dtype == np.float32
    assert np.array_equal(model.decode(mean[None]), np.stack([shades] * 3, -1))
    assert np.array_equal(model.preview(mean[None])[0], model.decode(mean[None]))
    colors = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    luma = np.asarray(Image.fromarray(colors).convert("L"), np.float32)
    assert np.abs(model.decode(model.encode_picture(colors)[0][None])[..., 0] - luma).max() <= 1


def test_gray_model_is_steered_by_colors() -> None:
    """A loss sees red, green and blue; the gradient has the network's one channel."""
    decoder = PixelLossDecoder(1)
    seen = torch.zeros(2, 1, 4, 4, requires_grad=True)
    shown = decoder.decode("full", seen)
    assert shown.shape == (2, 3, 4, 4) and decoder.graph_decoder("full") is None
    shown.sum().backward()
    assert seen.grad is not None and (seen.grad == 3).all()


def test_beyond_white_is_white(pixels: Opened) -> None:
    model = pixels("faces", "openvino")
    latents = np.full((1, 3, 8, 8), 1.5, np.float32)
    assert (model.decode(latents) == 255).all() and (model.decode(-latents) == 0).all()
    with pytest.raises(ModelError, match="NaN"):
        model.decode(latents * np.nan)


@both
def test_sixteen_bits_stay_near(
    made: dict[str, tuple[Path, Any]], pixels: Opened, cache: Path, runtime: Any
) -> None:
    try:
        model = open_model(made["celeba"][0], runtime, "bfloat16", 1, cache)
    except ModelError as error:
        pytest.skip(str(error))
    x, _, text = _rows(2)
    for t in (1.0, 951.0, 999.0):  # whole numbers that bfloat16 cannot hold
        asked = x, np.full(2, t, np.float32), text
        right = pixels("celeba", "openvino").denoise(*asked)
        assert np.linalg.norm(model.denoise(*asked) - right) < 0.03 * np.linalg.norm(right)


def test_the_precision_is_chosen_and_remembered(made: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    chosen = open_model(made["plain"][0], "openvino", cache=tmp_path).dtype
    assert chosen in ("float32", "bfloat16")
    assert open_model(made["plain"][0], "openvino", cache=tmp_path).dtype == chosen


def test_compiling_ahead(pixels: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked = pixels("plain", "openvino"), []
    monkeypatch.setattr(model._runtime, "prepare", lambda *shape: asked.append(shape))
    model.prepare(3)
    model.prepare(1, 64, 32)
    assert asked == [(4, 16, 8), (1, 32, 64)]
    monkeypatch.undo()
    model.prepare(1, 16, 16)
    assert model.denoise(*_rows(1)).shape == (1, 3, 16, 16)
