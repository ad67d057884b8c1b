"""Where a pixel model lies and what it may be: both layouts open, what is foreign is refused in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mezzotint.errors import ModelError
from mezzotint.models import BUNDLED, PixelModel, open_model
from mezzotint.models.disk.architecture import PixelArch
from mezzotint.models.disk.source import reads_text
from support.tiny_pixels import CELEBA, PLAIN, flattened, make_pixels

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "plain"
    make_pixels(folder, PLAIN)
    return folder


@pytest.fixture
def model(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain, tmp_path / "model"))


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """Open and return the one-line message."""

    def open_it(path: Path | str, runtime: Any = "openvino") -> str:
        with pytest.raises(ModelError) as error:
            open_model(path, runtime, "float32", cache=tmp_path / "cache")
        assert "\n" not in str(error.value)
        return str(error.value)

    return open_it


def _edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _said(path: Path | str, cache: Path) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((1, 3, 16, 16)).astype(np.float32)
    opened = open_model(path, "openvino", "float32", 1, cache)
    assert isinstance(opened, PixelModel)
    return opened.denoise(x, np.array([321], np.float32), np.zeros((1, 0, 0), np.float32))


@pytest.mark.parametrize("with_index", [True, False])
@pytest.mark.parametrize("runtime", ["openvino", "torch"])
def test_the_oldest_layout(tmp_path: Path, cache: Path, with_index: bool, runtime: Any) -> None:
    """All in one folder, attention by its old names, perhaps without an index: the same model."""
    make_pixels(tmp_path / "new", CELEBA)
    old = flattened(tmp_path / "new", tmp_path / "old")
    if not with_index:
        (old / "model_index.json").unlink()
    assert np.array_equal(_said(old, cache), _said(tmp_path / "new", cache))
    assert open_model(old, runtime, "float32", 1, cache).name == "old"


def test_ddim_pipelines_open_too(tmp_path: Path, cache: Path) -> None:
    make_pixels(tmp_path / "m", PLAIN, ddim=True)
    assert not open_model(tmp_path / "m", "openvino", "float32", 1, cache).reads_text


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("name", ["diffusion_pytorch_model.bin", "w.pt"])
def test_pickles_are_refused_with_the_way_out(
    model: Path, tmp_path: Path, refused: Callable[..., str], old: bool, name: str
) -> None:
    folder = flattened(model, tmp_path / "old") if old else model
    weights = folder / (Path(WEIGHTS).name if old else WEIGHTS)
    weights.rename(weights.with_name(name))
    message = refused(folder)
    assert "pickled" in message and f"DiffusionPipeline.from_pretrained({str(folder)!r})" in message


@pytest.mark.parametrize("name", ["scheduler/scheduler_config.json", "unet/config.json", WEIGHTS])
def test_a_missing_file(model: Path, refused: Callable[..., str], name: str) -> None:
    (model / name).unlink()
    assert name in refused(model)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"_class_name": "LDMPipeline"}, "opens StableDiffusionPipeline and DDPMPipeline"),
        ({"_class_name": "DDPMPipelin"}, "did you mean 'DDPMPipeline'?"),
        ({"unet": ["os", "system"]}, "opens UNet2DModel"),
        ({"unet": ["diffusers", "UNet2DConditionModel"]}, "opens UNet2DModel"),
    ],
)
def test_classes_come_from_a_list(
    model: Path, refused: Callable[..., str], changes: dict[str, Any], words: str
) -> None:
    _edit_json(model / "model_index.json", **changes)
    assert words in refused(model)


def test_a_denoiser_that_reads_text_is_no_pixel_model(model: Path, refused: Callable[..., str]) -> None:
    _edit_json(model / "unet" / "config.json", _class_name="UNet2DConditionModel")
    assert "a pixel model has a UNet2DModel" in refused(model)


def test_a_folder_of_neither_kind(tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "model_index.json is missing" in refused(tmp_path)
    (tmp_path / "v1-5.safetensors").touch()
    assert f"name the file in it: {tmp_path / 'v1-5.safetensors'}" in refused(tmp_path)
    (tmp_path / "v1-5.safetensors").unlink()
    (tmp_path / "config.json").write_text('{"_class_name": "CLIPModel"}')
    assert "model_index.json is missing" in refused(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"time_embedding_type": "fourier"},
            "time_embedding_type is 'fourier'; Mezzotint serves the DDPM family only",
        ),
        ({"resnet_time_scale_shift": "scale_shift"}, "resnet_time_scale_shift"),
        ({"num_class_embeds": 10}, "num_class_embeds is 10 (a model that is conditioned on classes"),
        ({"class_embed_type": "timestep"}, "class_embed_type is 'timestep' (a model that is conditioned"),
        ({"out_channels": 6}, "out_channels is 6, of a model that learned its variance"),
        ({"in_channels": 4, "out_channels": 4}, "in_channels is 4; pictures have 3 channels, or 1 of gray"),
        ({"in_channels": 1, "out_channels": 3}, "out_channels is 3 and in_channels 1"),
        ({"in_chanels": 3}, "unknown key 'in_chanels'; did you mean 'in_channels'?"),
        ({"downsample_padding": 2}, "downsample_padding is 2"),
        ({"downsample_type": "resnet"}, "downsample_type"),
        ({"upsample_type": "resnet"}, "upsample_type"),
        ({"mid_block_type": None}, "mid_block_type is None"),
        ({"attn_norm_num_groups": 4}, "attn_norm_num_groups is 4"),
        ({"center_input_sample": True}, "center_input_sample"),
        ({"add_attention": "yes"}, "add_attention"),
        ({"act_fn": "gelu"}, "act_fn"),
        ({"down_block_types": ["SkipDownBlock2D", "DownBlock2D"]}, "AttnDownBlock2D"),
        ({"block_out_channels": [10**12]}, "block_out_channels"),
        ({"layers_per_block": 500_000}, "from 1 to 100"),
        ({"layers_per_block": 2}, "is missing"),
        ({"norm_num_groups": 7}, "do not divide into 7 groups"),
        ({"norm_eps": "x"}, "norm_eps is 'x'"),
        ({"freq_shift": 16}, "freq_shift is 16"),
        ({"sample_size": 33}, "sample_size is not divisible by 2"),
        ({"attention_head_dim": 0}, "attention_head_dim is 0"),
        ({"add_attention": True, "attention_head_dim": 5}, "does not divide into heads 5 wide"),
    ],
)
def test_configs(model: Path, refused: Callable[..., str], changes: dict[str, Any], words: str) -> None:
    if changes.get("attention_head_dim") == 5:  # with the weights that it needs
        make_pixels(model, {**PLAIN, "add_attention": True, "attention_head_dim": 8})
    _edit_json(model / "unet" / "config.json", **changes)
    message = refused(model)
    assert words in message and (str(model) in message or "divide" in message)


def test_what_is_published_is_read() -> None:
    """The config of google/ddpm-celebahq-256, which others were trained on from."""
    down = ["DownBlock2D"] * 4 + ["AttnDownBlock2D", "DownBlock2D"]
    config = {
        "_class_name": "UNet2DModel",
        "_diffusers_version": "0.0.4",
        "act_fn": "silu",
        "attention_head_dim": None,
        "block_out_channels": [128, 128, 256, 256, 512, 512],
        "center_input_sample": False,
        "down_block_types": down,
        "downsample_padding": 0,
        "flip_sin_to_cos": False,
        "freq_shift": 1,
        "in_channels": 3,
        "layers_per_block": 2,
        "mid_block_scale_factor": 1,
        "norm_eps": 1e-06,
        "norm_num_groups": 32,
        "out_channels": 3,
        "sample_size": 256,
        "time_embedding_type": "positional",
        "up_block_types": [name.replace("Down", "Up") for name in reversed(down)],
    }
    arch = PixelArch.read(config, "config.json")
    assert (arch.side_multiple, arch.sample_size, arch.heads(512)) == (32, (256, 256), 1)
    assert arch.down_attends == (False,) * 4 + (True, False) and arch.middle_attends
    assert not arch.pads_evenly and not arch.flip_sin_to_cos and arch.freq_shift == 1


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
@pytest.mark.parametrize("damage", ["missing", "extra", "nan"])
def test_damaged_weights(model: Path, refused: Callable[..., str], runtime: str, damage: str) -> None:
    weights = load_file(model / WEIGHTS)
    name = "mid_block.resnets.1.conv2.bias"
    if damage == "missing":
        del weights[name]
    elif damage == "extra":
        weights[name := "extra.weight"] = np.zeros(3, np.float32)
    else:
        weights[name].put(0, np.nan)
    save_file(weights, model / WEIGHTS)
    assert name in refused(model, runtime)


def test_settings_of_training_do_not_matter(model: Path, cache: Path) -> None:
    before = _said(model, cache)
    _edit_json(model / "unet" / "config.json", dropout=0.1, num_train_timesteps=1000)
    assert np.array_equal(_said(model, cache), before)


def test_who_reads_text_is_known_before_opening(plain: Path, smallest: Any, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").touch()
    asked = {
        "emoji": True,
        "faces": False,
        plain: False,
        smallest.folder: True,
        tmp_path / "m.safetensors": True,
    }
    assert {source: reads_text(source) for source in asked} == asked
    assert reads_text("owner/model") is None


def test_the_bundled_one_is_named_where_it_is_absent(refused: Callable[..., str]) -> None:
    if not BUNDLED["faces"].is_installed:
        assert "'faces' is not in this copy" in refused("faces")
