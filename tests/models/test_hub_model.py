"""A model of the hub is told by its list of files and its configs; weights come last, and the needed ones alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from mezzotint.errors import ModelError
from mezzotint.models import open_model
from mezzotint.models.disk.hub import fetch_from_hub
from mezzotint.models.disk.hub_model import download_model
from support.fake_hub import FakeHub
from support.tiny_pixels import PLAIN, flattened, make_pixels

STEM = "diffusion_pytorch_model"
WEIGHTS = (".safetensors", ".bin", ".ckpt", ".msgpack", ".onnx")


@pytest.fixture
def hub(smallest: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    source = Path(shutil.copytree(smallest.folder, tmp_path / "hub"))
    return FakeHub(source, tmp_path / "local").install(monkeypatch)


@pytest.fixture
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    (tmp_path / "hub").mkdir()
    return FakeHub(tmp_path / "hub", tmp_path / "local").install(monkeypatch)


def refusal(hub: FakeHub) -> str:
    """The one-line message, which names the repository and no cache; no weight was fetched."""
    with pytest.raises(ModelError) as error:
        download_model("owner/model")
    message = str(error.value)
    assert not [name for name in hub.fetched if name.endswith(WEIGHTS)]
    assert "\n" not in message and "owner/model" in message and str(hub.local) not in message
    return message


def rename(hub: FakeHub, change: Callable[[str], str]) -> None:
    """Every weight file by another name."""
    for file in list(hub.source.rglob("*.safetensors")):
        file.rename(file.with_name(change(file.name)))


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def digest_of_opened(tmp_path: Path) -> str:
    return open_model("owner/model", "openvino", "float32", 1, tmp_path / "cache").digest


def test_hub_model_is_fetched_once_with_nothing_that_it_does_not_need(
    hub: FakeHub, tmp_path: Path, smallest: Any
) -> None:
    hub.put("unet/model.ckpt", "unet/code.py", "v1.safetensors", "safety_checker/model.safetensors")
    hub.put(f"unet/{STEM}.bin", f"unet/{STEM}.fp16.safetensors", f"unet/{STEM}.non_ema.safetensors")
    assert (
        digest_of_opened(tmp_path)
        == open_model(smallest.folder, "openvino", "float32", 1, tmp_path / "cache").digest
    )
    weights = [name for name in hub.fetched if name.endswith(WEIGHTS)]
    plain = [f"unet/{STEM}.safetensors", f"vae/{STEM}.safetensors", "text_encoder/model.safetensors"]
    assert sorted(weights) == sorted(plain) and not any(name.endswith(".py") for name in hub.fetched)
    first_weight = hub.fetched.index(weights[0])
    assert all(name.endswith(WEIGHTS) for name in hub.fetched[first_weight:])
    hub.fetched.clear()
    hub.offline = ConnectionError("no route to host")
    digest_of_opened(tmp_path)
    assert hub.fetched == []


@pytest.mark.parametrize("variant", ["fp16", "bf16", "ema"])
def test_lone_variant_is_fetched(
    hub: FakeHub, tmp_path: Path, variant: str, recwarn: pytest.WarningsRecorder
) -> None:
    rename(hub, lambda name: name.replace(".safetensors", f".{variant}.safetensors"))
    digest_of_opened(tmp_path)
    assert sum(f".{variant}." in name for name in hub.fetched) == 3 and not recwarn


@pytest.mark.parametrize(("index", "shard"), [("", ""), (".fp16", ".fp16")])
def test_shards_are_fetched(hub: FakeHub, tmp_path: Path, index: str, shard: str) -> None:
    unet = hub.source / "unet"
    weights = load_file(unet / f"{STEM}.safetensors")
    (unet / f"{STEM}.safetensors").unlink()
    names = [f"{STEM}{shard}-0000{i}-of-00002.safetensors" for i in (1, 2)]
    of = {name: names[i % 2] for i, name in enumerate(sorted(weights))}
    for file in names:
        save_file({name: weights[name] for name in weights if of[name] == file}, unet / file)
    (unet / f"{STEM}.safetensors.index{index}.json").write_text(json.dumps({"weight_map": of}))
    digest_of_opened(tmp_path)
    assert {f"unet/{name}" for name in names} < set(hub.fetched)
    (hub.local / "unet" / names[1]).unlink()  # half fetched is not whole
    hub.fetched.clear()
    digest_of_opened(tmp_path)
    assert hub.fetched == [f"unet/{names[1]}"]


def test_missing_shard_is_told_before_work(hub: FakeHub) -> None:
    (hub.source / f"unet/{STEM}.safetensors").unlink()
    index = hub.source / f"unet/{STEM}.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"conv_in.weight": "a.safetensors"}}))
    assert "owner/model/unet/a.safetensors is missing" in refusal(hub)


@pytest.mark.parametrize(
    ("ending", "how"),
    [(".bin", "('owner/model').save"), (".fp16.bin", "('owner/model', variant='fp16').save")],
)
def test_pickles_are_refused_with_the_way_to_convert(hub: FakeHub, ending: str, how: str) -> None:
    rename(hub, lambda name: name.replace(".safetensors", ending))
    message = refusal(hub)
    assert "pickled" in message and f"DiffusionPipeline.from_pretrained{how}" in message


def test_missing_tokenizer_is_told_before_weights_are_fetched(hub: FakeHub) -> None:
    shutil.rmtree(hub.source / "tokenizer")
    assert "owner/model/tokenizer is missing" in refusal(hub)


def test_other_formats_are_named(hub: FakeHub) -> None:
    rename(hub, lambda name: "diffusion_flax_model.msgpack")
    assert "weights for Flax alone" in refusal(hub)


@pytest.mark.parametrize(
    ("file", "changes", "words"),
    [
        ("model_index.json", {"_class_name": "StableDiffusionXLPipeline"}, "is Stable Diffusion XL"),
        ("unet/config.json", {"in_channels": 9}, "inpainting"),
        ("unet/config.json", {"cross_attention_dim": 768}, "text_encoder gives 32"),
        ("scheduler/scheduler_config.json", {"beta_schedule_x": "linear"}, "unknown key 'beta_schedule_x'"),
    ],
)
def test_foreign_model_is_refused_by_its_configs(
    hub: FakeHub, file: str, changes: dict[str, Any], words: str
) -> None:
    edit_json(hub.source / file, **changes)
    assert words in refusal(hub)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["v1-5.safetensors", "v1-5.ckpt"], "hf download owner/model v1-5.safetensors"),
        (["pytorch_lora_weights.safetensors"], "is a LoRA"),
        (["adapter_config.json", "adapter_model.safetensors"], "--lora lora/adapter_model.safetensors"),
        (["v1-4.ckpt"], "pickled weights alone (v1-4.ckpt)"),
        (["a/model_index.json", "b/model_index.json"], "models in folders, such as a"),
        (["README.md"], "holds no model"),
    ],
)
def test_repository_of_another_kind_is_told_for_what_it_is(
    empty_hub: FakeHub, files: list[str], words: str
) -> None:
    empty_hub.put(*files)
    assert words in refusal(empty_hub)
    assert empty_hub.fetched == []


def test_offline_hub_is_told(empty_hub: FakeHub) -> None:
    empty_hub.offline = ConnectionError("no route to host")
    message = refusal(empty_hub)
    assert "cannot fetch 'owner/model'" in message and "no route to host" in message


@pytest.mark.parametrize(
    ("kind", "words"), [("GatedRepoError", "terms must be accepted"), ("RepositoryNotFoundError", "private")]
)
def test_repository_that_is_not_given_is_told_by_reason(empty_hub: FakeHub, kind: str, words: str) -> None:
    empty_hub.offline = type(kind, (OSError,), {})("404 Client Error.\n\nmore")
    assert words in refusal(empty_hub)


@pytest.mark.parametrize("old", [True, False])
def test_pixel_model_is_fetched_in_either_layout(
    tmp_path: Path, old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "plain"
    make_pixels(source, PLAIN)
    source = flattened(source, tmp_path / "hub") if old else source
    hub = FakeHub(source, tmp_path / "local").install(monkeypatch)
    for _ in range(2):
        assert open_model("owner/ddpm", "openvino", "float32", 1, tmp_path / "cache").name == "owner/ddpm"
    assert sum(name.endswith(".safetensors") for name in hub.fetched) == 1


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_pair_is_fetched_only_where_it_has_safetensors(empty_hub: FakeHub, weights: str) -> None:
    empty_hub.put("config.json", "merges.txt", "tf_model.h5", weights)
    wanted = ["*.json", "merges.txt", "model*.safetensors"]
    if weights.endswith(".bin"):
        with pytest.raises(ModelError, match=r"owner/clip has no \.safetensors; if its weights are pickled"):
            fetch_from_hub("owner/clip", lambda path: False, wanted)
        assert empty_hub.fetched == []
    else:
        fetch_from_hub("owner/clip", lambda path: False, wanted)
        assert sorted(empty_hub.fetched) == ["config.json", "merges.txt", weights]
