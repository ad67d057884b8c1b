"""What is wrong with a model is said in one line that names file and weight; nothing foreign is opened."""

from __future__ import annotations

import json
import math
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mezzotint.errors import ModelError
from mezzotint.models import open_model
from mezzotint.models.disk import source
from mezzotint.models.disk.bundle import what_is
from mezzotint.models.disk.source import find

UNET = "unet/diffusion_pytorch_model.safetensors"
both = pytest.mark.parametrize("runtime", ["openvino", "torch"])


@pytest.fixture
def model(smallest: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(smallest.folder, tmp_path / "model"))


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """Open and return the one-line message."""

    def open_it(path: Path | str, runtime: Any = "openvino") -> str:
        with pytest.raises(ModelError) as error:
            open_model(path, runtime=runtime, dtype="float32", cache=tmp_path / "cache")
        message = str(error.value)
        assert "\n" not in message
        return message

    return open_it


def _edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _edit_weights(path: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


def _put(name: str, value: Any) -> Callable[[dict[str, np.ndarray]], None]:
    return lambda weights: weights.__setitem__(name, value)


def _poison(value: float) -> Callable[[dict[str, np.ndarray]], None]:
    def change(weights: dict[str, np.ndarray]) -> None:
        weights["conv_in.weight"][3, 1, 2, 0] = value

    return change


@both
@pytest.mark.parametrize(
    "change, words",
    [
        (lambda w: w.pop("mid_block.resnets.1.conv2.bias"), "mid_block.resnets.1.conv2.bias is missing"),
        (_put("extra.weight", np.zeros(3, np.float32)), "unexpected weight extra.weight"),
        (
            _put("conv_in.bias", np.zeros(31, np.float32)),
            "conv_in.bias has shape [31], its config asks for [32]",
        ),
        (_put("conv_in.bias", np.zeros(32, np.int32)), "stored as I32"),
        (_poison(np.nan), "conv_in.weight holds NaN"),
        (_poison(-np.inf), "conv_in.weight holds NaN or infinity"),
    ],
)
def test_weights(model: Path, refused: Callable[..., str], change: Any, words: str, runtime: str) -> None:
    _edit_weights(model / UNET, change)
    message = refused(model, runtime)
    assert words in message and str(model / "unet") in message


@both
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_no_picture_needs(
    model: Path, refused: Callable[..., str], value: float, runtime: str
) -> None:
    name = "encoder.conv_out.bias"
    _edit_weights(
        model / "vae" / "diffusion_pytorch_model.safetensors", lambda weights: weights[name].put(0, value)
    )
    assert f"{name} holds NaN or infinity" in refused(model, runtime)


@pytest.mark.parametrize("keep", [0, 4, 200, -1])
def test_a_file_cut_short(model: Path, refused: Callable[..., str], keep: int) -> None:
    whole = (model / UNET).read_bytes()
    (model / UNET).write_bytes(whole[:keep])
    assert str(model / UNET) in refused(model)


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b'{"a": 1}',
        b'{"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [-4], "data_offsets": [0, -16]}}',
        b'{"a": {"dtype": ["F32"], "shape": [4], "data_offsets": [0, 16]}}',
        b'{"a": {"dtype": "F32", "shape": [99999999999], "data_offsets": [0, 399999999996]}}',
        b'{"a": {"dtype": "F32", "shape": ["4"], "data_offsets": [0, 16]}}',
        b"\xff\xfe{",
        b'{"a":' * 100_000,
    ],
)
def test_a_hostile_header(model: Path, refused: Callable[..., str], header: bytes) -> None:
    (model / UNET).write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    assert str(model / UNET) in refused(model)


def test_a_header_of_absurd_length(model: Path, refused: Callable[..., str]) -> None:
    (model / UNET).write_bytes(struct.pack("<Q", 1 << 62) + b"{}")
    assert "not a safetensors file" in refused(model)


@pytest.mark.parametrize(
    "name",
    [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        UNET,
        "text_encoder/model.safetensors",
        "vae/config.json",
    ],
)
def test_a_missing_file(model: Path, refused: Callable[..., str], name: str) -> None:
    (model / name).unlink()
    assert name in refused(model)


@pytest.mark.parametrize("content", ["", "{", "[1]", "\x00", '{"a":' * 100_000])
@pytest.mark.parametrize("name", ["model_index.json", "unet/config.json"])
def test_json_that_is_none(model: Path, refused: Callable[..., str], name: str, content: str) -> None:
    (model / name).write_text(content)
    assert name in refused(model)


def test_a_huge_index_is_not_read(model: Path, refused: Callable[..., str]) -> None:
    (model / UNET).unlink()
    with (model / f"{UNET}.index.json").open("wb") as file:
        file.truncate(60 << 30)  # sparse: it takes no room
    assert "larger than" in refused(model)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd.safetensors", "/etc/x.safetensors", "a\\..\\b.safetensors", "weights.bin"]
)
def test_an_index_may_not_leave_the_folder(model: Path, refused: Callable[..., str], name: str) -> None:
    (model / UNET).unlink()
    (model / f"{UNET}.index.json").write_text(json.dumps({"weight_map": {"conv_in.weight": name}}))
    assert "not a .safetensors file beside it" in refused(model)


def test_shards(model: Path, smallest: Any, tmp_path: Path) -> None:
    weights = load_file(model / UNET)
    names = sorted(weights)
    half = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in half.items():
        save_file({name: weights[name] for name in part}, model / "unet" / file)
    (model / UNET).unlink()
    index = {"weight_map": {name: file for file, part in half.items() for name in part}}
    (model / f"{UNET}.index.json").write_text(json.dumps(index))
    open_model(model, runtime="openvino", dtype="float32", cache=tmp_path / "cache")


@pytest.mark.parametrize("name", ["diffusion_pytorch_model.bin", "model.ckpt", "w.pt"])
def test_pickles_are_refused_with_the_way_out(model: Path, refused: Callable[..., str], name: str) -> None:
    (model / UNET).rename(model / "unet" / name)
    message = refused(model)
    assert "pickled" in message and "from_pretrained" in message and "save_pretrained" in message


@pytest.mark.parametrize("name", ["v1-5.ckpt", "model.pt", "model.pth", "pytorch_model.bin"])
def test_a_pickled_file_is_never_opened(tmp_path: Path, refused: Callable[..., str], name: str) -> None:
    assert "no model" in refused(tmp_path / name)
    (tmp_path / name).touch()
    assert "from_single_file" in refused(tmp_path / name)


@pytest.mark.parametrize(
    "part, told, words",
    [
        ("unet", ["os", "system"], "UNet2DConditionModel"),
        ("unet", ["my_module", "MyUNet"], "UNet2DConditionModel"),
        ("text_encoder", ["transformers", "T5EncoderModel"], "CLIPTextModel"),
        ("vae", None, "AutoencoderKL"),
        ("tokenizer", [None, None], "CLIPTokenizer"),
        ("controlnet", ["diffusers", "ControlNetModel"], "unknown key 'controlnet'"),
        ("_class_name", "StableDifusionPipeline", "did you mean 'StableDiffusionPipeline'?"),
        ("_class_name", ["x"], "StableDiffusionPipeline"),
    ],
)
def test_classes_come_from_a_list(
    model: Path, refused: Callable[..., str], part: str, told: Any, words: str
) -> None:
    _edit_json(model / "model_index.json", **{part: told})
    assert words in refused(model)


@pytest.mark.parametrize(
    "file, changes, words",
    [
        ("unet", {"in_channels": 9}, "inpainting"),
        (
            "unet",
            {"num_class_embeds": 1000},
            "num_class_embeds is 1000 (a model that is conditioned on classes",
        ),
        ("unet", {"mid_block_typ": "x"}, "unknown key 'mid_block_typ'; did you mean 'mid_block_type'?"),
        ("text_encoder", {"hiden_act": "gelu"}, "unknown key 'hiden_act'; did you mean 'hidden_act'?"),
        ("unet", {"addition_embed_type": "text_time"}, "addition_embed_type"),
        ("unet", {"block_out_channels": [10**12]}, "block_out_channels"),
        ("unet", {"block_out_channels": [32] * 9}, "at most 8"),
        ("unet", {"layers_per_block": -1}, "layers_per_block"),
        ("unet", {"layers_per_block": 500_000}, "from 1 to 100"),
        ("unet", {"layers_per_block": 2}, "is missing"),
        ("unet", {"sample_size": 10**6}, "sample_size"),
        ("unet", {"down_block_types": ["__import__"]}, "block types"),
        ("unet", {"cross_attention_dim": 512}, "text_encoder gives 32"),
        ("unet", {"attention_head_dim": 5}, "does not divide into 5 heads"),
        ("unet", {"norm_num_groups": 7}, "do not divide into 7 groups"),
        ("vae", {"latent_channels": 16}, "vae 16"),
        ("vae", {"act_fn": "mish"}, "act_fn"),
        ("text_encoder", {"hidden_act": "relu"}, "hidden_act"),
        ("text_encoder", {"vocab_size": True}, "vocab_size"),
        ("unet", {"norm_eps": "x"}, "norm_eps is 'x'"),
        ("unet", {"norm_eps": [1]}, "norm_eps is [1]"),
        ("unet", {"norm_eps": math.nan}, "norm_eps is nan"),
        ("unet", {"freq_shift": 16}, "freq_shift is 16; it should be a number from 0 to 15"),
        ("text_encoder", {"layer_norm_eps": None}, "layer_norm_eps is None"),
        ("text_encoder", {"layer_norm_eps": math.inf}, "layer_norm_eps is inf"),
        ("vae", {"scaling_factor": 0}, "scaling_factor is 0"),
        ("vae", {"scaling_factor": math.nan}, "scaling_factor is nan"),
        ("vae", {"scaling_factor": "0.18"}, "scaling_factor is '0.18'"),
        ("vae", {"scaling_factor": 10**400}, "scaling_factor is 1000"),
        ("unet", {"down_block_types": [["x"]]}, "block types [['x']]"),
        ("unet", {"down_block_types": [{}]}, "block types [{}]"),
    ],
)
def test_configs(model: Path, refused: Callable[..., str], file: str, changes: Any, words: str) -> None:
    _edit_json(model / file / "config.json", **changes)
    message = refused(model)
    assert words in message and (str(model) in message or "divide" in message)


def test_class_of_the_scheduler_is_the_one_of_the_index(model: Path, tmp_path: Path) -> None:
    """As diffusers opens it, whatever the scheduler's own file says."""
    _edit_json(model / "scheduler" / "scheduler_config.json", _class_name="NoSuchScheduler")
    assert find(model, tmp_path / "cache").scheduler["_class_name"] == "PNDMScheduler"


def test_sources(tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "did you mean 'emoji'?" in refused("emojy")
    assert "did you mean" not in refused("a-name-that-is-near-nothing")
    (tmp_path / "notes.txt").write_text("x")
    assert "is not a model" in refused(tmp_path / "notes.txt")
    assert "no model" in refused(tmp_path / "nothing")
    assert "no model ''" in refused("")
    assert "home folder in '~nosuchuser/x'" in refused("~nosuchuser/x")
    assert "not by 42" in refused(42)
    monkeypatch.setattr(
        source, "download_model", lambda repo: pytest.fail("asked the hub for weights in a pickle")
    )
    assert "no model" in refused("owner/missing.ckpt")


def test_options(smallest: Any, tmp_path: Path) -> None:
    for wrong in (
        {"runtime": "tensorrt"},
        {"dtype": "float8"},
        {"threads": 0},
        {"runtime": "openvino", "dtype": "float16"},
    ):
        with pytest.raises(ModelError):
            open_model(smallest.folder, cache=tmp_path, **wrong)


@pytest.mark.parametrize(
    "config",
    [
        {"added_tokens_decoder": {"0": 5}},
        {"added_tokens_decoder": {"0": {}}},
        {"pad_token": {"content": "nowhere"}},
        {"bos_token": ["x"]},
        {"unk_token": 7},
    ],
)
def test_tokenizer_configs(smallest: Any, model: Path, tmp_path: Path, config: dict[str, Any]) -> None:
    """Odd ones open or are refused in one line; nothing else comes out."""
    (model / "tokenizer" / "special_tokens_map.json").unlink(missing_ok=True)
    (model / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(config))
    try:
        open_model(model, runtime="openvino", dtype="float32", cache=tmp_path / "cache").encode_text("a cat")
    except ModelError as error:
        assert "\n" not in str(error)


def test_more_words_than_the_encoder_knows(model: Path, refused: Callable[..., str]) -> None:
    path = model / "tokenizer" / "tokenizer.json"
    name = "vocab.json" if not path.exists() else "tokenizer.json"
    told = json.loads((model / "tokenizer" / name).read_text())
    vocab = told["model"]["vocab"] if name == "tokenizer.json" else told
    vocab["cat</w>"] = 10_000
    (model / "tokenizer" / name).write_text(json.dumps(told))
    if (model / "tokenizer" / "vocab.json").exists():
        (model / "tokenizer" / "vocab.json").write_text(json.dumps(vocab))
    assert "more words than the text encoder's" in refused(model)


def test_duplicate_keys_and_overlapping_offsets_are_refused(model: Path, refused: Callable[..., str]) -> None:
    """As the safetensors library refuses them: readers would take different values."""
    entry = b'{"dtype":"F32","shape":[2],"data_offsets":[%d,%d]}'
    for header, words in (
        (b'{"a":' + entry % (0, 8) + b',"a":' + entry % (8, 16) + b"}", "damaged header"),
        (b'{"a":' + entry % (0, 8) + b',"b":' + entry % (4, 12) + b"}", "values of a and b overlap"),
    ):
        (model / UNET).write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
        assert words in refused(model)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("StableDiffusionXLPipeline", "is Stable Diffusion XL"),
        ("FluxPipeline", "is Flux"),
        ("StableDiffusionInpaintPipeline", "is an inpainting model"),
    ],
)
def test_foreign_pipeline_is_named_for_what_it_is(kind: str, words: str) -> None:
    assert f"is {what_is(kind)}" == words


def test_no_foreign_pipeline_is_taken_for_a_typing_error(tmp_path: Path, refused: Callable[..., str]) -> None:
    """All that the installed diffusers has: named for what they are, or said to be of another family."""
    opened = {"StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "DDPMPipeline", "DDIMPipeline"}
    kinds = {name for name in dir(diffusers) if name.endswith("Pipeline")} - opened
    assert len(kinds) > 100
    for kind in kinds:
        (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": kind}))
        message = refused(tmp_path)
        assert f"{kind!r} is " in message and "did you mean" not in message
