"""The tables know every key that the installed libraries write: a new one of theirs fails here until it is known."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import peft
import pytest
import transformers

from mezzotint.config_keys import KeyTable
from mezzotint.errors import ModelError
from mezzotint.models import BUNDLED
from mezzotint.models.disk.architecture import PixelArch, TextArch, UNetArch, VaeArch
from mezzotint.models.disk.key_tables import (
    PIXEL_INDEX,
    PIXEL_UNET,
    TEXT_ENCODER,
    TEXT_TO_IMAGE_INDEX,
    UNET,
    VAE,
    VQ,
)
from mezzotint.models.lora import peft_keys
from mezzotint.models.lora.format import config_beside

TABLES: dict[str, tuple[KeyTable, Any]] = {
    "unet": (UNET, diffusers.UNet2DConditionModel),
    "pixel unet": (PIXEL_UNET, diffusers.UNet2DModel),
    "vae": (VAE, diffusers.AutoencoderKL),
    "vq": (VQ, diffusers.VQModel),
    "text encoder": (TEXT_ENCODER, transformers.CLIPTextConfig),
    "index": (TEXT_TO_IMAGE_INDEX, diffusers.StableDiffusionPipeline),
    "index of image-to-image": (TEXT_TO_IMAGE_INDEX, diffusers.StableDiffusionImg2ImgPipeline),
    "index of pixels": (PIXEL_INDEX, diffusers.DDPMPipeline),
    "index of DDIM": (PIXEL_INDEX, diffusers.DDIMPipeline),
}
READERS: dict[str, Callable[[Any, str], Any]] = {
    "unet": UNetArch.read,
    "pixel unet": PixelArch.read,
    "vae": VaeArch.read,
    "text encoder": TextArch.read,
}


def default_config(kind: Any) -> dict[str, Any]:
    """The keys that a class of the libraries writes, with its defaults."""
    found = inspect.signature(kind.__init__).parameters.values()
    named = {p.name: p.default for p in found if p.kind is not p.VAR_KEYWORD and p.name != "self"}
    return {**named, **kind().to_dict()} if kind is transformers.CLIPTextConfig else named


class ReadRecorder(dict[str, Any]):
    """A config that remembers which of its keys were looked at by name."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)


@pytest.mark.parametrize("name", list(TABLES))
def test_every_key_of_the_library_is_known(name: str) -> None:
    table, kind = TABLES[name]
    assert {key for key in default_config(kind) if not key.startswith("_")} <= table.keys


@pytest.mark.parametrize("name", list(TABLES))
def test_each_key_has_one_meaning(name: str) -> None:
    table, _ = TABLES[name]
    assert not table.without_effect.keys() & (table.used | table.only.keys())
    assert table.reasons.keys() <= table.only.keys()
    assert all(table.without_effect.values())


@pytest.mark.parametrize("name", list(READERS))
def test_used_keys_are_read_and_defaults_are_the_library_s(name: str) -> None:
    table, kind = TABLES[name]
    config = ReadRecorder(default_config(kind))
    assert READERS[name](config, "config.json") == READERS[name]({}, "config.json")
    assert table.used <= config.read | {"mid_block_type", "add_attention"}


def test_only_unused_keys_are_ignored() -> None:
    """What a table calls without effect leaves what is read as it is."""
    for name, read in READERS.items():
        table, _ = TABLES[name]
        odd = dict.fromkeys(table.without_effect, 7)
        assert read(odd, "config.json") == read({}, "config.json"), name


@pytest.mark.parametrize("model", ["emoji", "faces"])
def test_bundled_models_have_known_keys_alone(model: str) -> None:
    folder = BUNDLED[model].path
    unet, index = (UNET, TEXT_TO_IMAGE_INDEX) if model == "emoji" else (PIXEL_UNET, PIXEL_INDEX)
    files = {"unet/config.json": unet, "model_index.json": index}
    if model == "emoji":
        files |= {"vae/config.json": VAE, "text_encoder/config.json": TEXT_ENCODER}
    for file, table in files.items():
        table.check(json.loads((folder / file).read_text()), file)


@pytest.mark.parametrize("kind", [peft.LoraConfig, peft.LoHaConfig, peft.LoKrConfig])
def test_every_key_of_peft_is_known(kind: Any) -> None:
    assert {field.name for field in dataclasses.fields(kind)} <= peft_keys.KEYS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"use_qalora": True}, "use_qalora is set"),
        ({"kasa_config": {"beta": 1}}, "kasa_config is set"),
        (
            {"init_lora_weights": "pissa_niter_4"},
            "init_lora_weights is 'pissa_niter_4', which changed the model",
        ),
        ({"lora_alfa": 8}, "unknown setting 'lora_alfa'; did you mean 'lora_alpha'?"),
        ({"peft_type": "IA3"}, "peft_type 'IA3' is not read"),
    ],
)
def test_setting_of_peft_that_is_not_merged_is_refused_by_name(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    config = {
        "peft_type": "LORA",
        "r": 4,
        "lora_alpha": 8,
        "init_lora_weights": "gaussian",
        "of_tomorrow": None,
    }
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    assert config_beside(tmp_path / "adapter_model.safetensors") == {
        "peft_type": "LORA",
        "r": 4,
        "lora_alpha": 8,
    }
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | change))
    with pytest.raises(ModelError, match=words):
        config_beside(tmp_path / "adapter_model.safetensors")
