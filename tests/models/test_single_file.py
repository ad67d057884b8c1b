"""A file in the original layout gives the same model as the folder it was made from."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from safetensors.torch import save_file
from transformers import CLIPTokenizer

from mezzotint.errors import ModelError
from mezzotint.models import open_model
from mezzotint.models.disk.source import find
from support import tiny

Weights = dict[str, torch.Tensor]
UNET, VAE = "model.diffusion_model.", "first_stage_model."
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def _replace(name: str, table: dict[str, str]) -> str:
    for new, old in table.items():
        name = re.sub(rf"(^|\.){re.escape(new)}(\.|$)", rf"\g<1>{old}\g<2>", name)
    return name


def _original_unet(unet: Any) -> Weights:
    """The way back that diffusers does not have, written apart from ours."""
    per = unet.config.layers_per_block + 1
    table = {}
    for i in range(len(unet.config.block_out_channels)):
        for j in range(per):
            table[f"down_blocks.{i}.resnets.{j}"] = f"input_blocks.{1 + per * i + j}.0"
            table[f"down_blocks.{i}.attentions.{j}"] = f"input_blocks.{1 + per * i + j}.1"
            table[f"up_blocks.{i}.resnets.{j}"] = f"output_blocks.{per * i + j}.0"
            table[f"up_blocks.{i}.attentions.{j}"] = f"output_blocks.{per * i + j}.1"
        slot = 2 if "CrossAttn" in unet.config.up_block_types[i] else 1
        table[f"down_blocks.{i}.downsamplers.0.conv"] = f"input_blocks.{per * (i + 1)}.0.op"
        table[f"up_blocks.{i}.upsamplers.0.conv"] = f"output_blocks.{per * i + per - 1}.{slot}.conv"
    table |= {
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
    }
    inner = {name: RESNET if ".resnets." in name else {} for name in unet.state_dict()}
    return {UNET + _replace(_replace(n, inner[n]), table): w for n, w in unet.state_dict().items()}


def _original_vae(vae: Any) -> Weights:
    n = len(vae.config.block_out_channels)
    table = {}
    for i in range(n):
        for j in range(vae.config.layers_per_block + 1):
            table[f"encoder.down_blocks.{i}.resnets.{j}"] = f"encoder.down.{i}.block.{j}"
            table[f"decoder.up_blocks.{i}.resnets.{j}"] = f"decoder.up.{n - 1 - i}.block.{j}"
        table[f"encoder.down_blocks.{i}.downsamplers.0"] = f"encoder.down.{i}.downsample"
        table[f"decoder.up_blocks.{i}.upsamplers.0"] = f"decoder.up.{n - 1 - i}.upsample"
    attention = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
    table |= {f"mid_block.attentions.0.{new}": f"mid.attn_1.{old}" for new, old in attention.items()}
    table |= {f"mid_block.resnets.{k}": f"mid.block_{k + 1}" for k in range(2)}
    table |= {"conv_norm_out": "norm_out", "conv_shortcut": "nin_shortcut"}
    named = {_replace(name, table): w for name, w in vae.state_dict().items()}
    square = {n: w for n, w in named.items() if ".mid.attn_1." in n and w.ndim == 2}
    return {VAE + n: w[..., None, None] if n in square else w for n, w in named.items()}


def _original_clip(text: Any) -> Weights:
    names = {"position_ids": torch.arange(77)[None]}
    kept = {f"embeddings.{n}": w for n, w in names.items()} | dict(text.state_dict())
    return {
        f"cond_stage_model.transformer.text_model.{n.removeprefix('text_model.')}": w for n, w in kept.items()
    }


def _original_open_clip(text: Any) -> Weights:
    table = {
        "embeddings.position_embedding.weight": "positional_embedding",
        "embeddings.token_embedding": "token_embedding",
        "final_layer_norm": "ln_final",
        "encoder.layers": "transformer.resblocks",
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
        "self_attn.out_proj": "attn.out_proj",
    }
    state = {n.removeprefix("text_model."): w for n, w in text.state_dict().items()}
    made = {_replace(n, table): w for n, w in state.items() if not re.search(r"[qkv]_proj", n)}
    for i in range(text.config.num_hidden_layers):
        for kind in ("weight", "bias"):
            own = [state[f"encoder.layers.{i}.self_attn.{letter}_proj.{kind}"] for letter in "qkv"]
            made[f"transformer.resblocks.{i}.attn.in_proj_{kind}"] = torch.cat(own)
    made |= {"text_projection": torch.eye(text.config.hidden_size), "logit_scale": torch.tensor(1.0)}
    return {f"cond_stage_model.model.{n}": w for n, w in made.items()}


def _original(pipeline: Any, open_clip: bool) -> Weights:
    text = (_original_open_clip if open_clip else _original_clip)(pipeline.text_encoder)
    whole = _original_unet(pipeline.unet) | _original_vae(pipeline.vae) | text
    extra = {"alphas_cumprod": torch.ones(1000), "model_ema.decay": torch.tensor(0.999)}
    return {name: w.clone().contiguous() for name, w in (whole | extra).items()}


def _write(folder: Path, pipeline: Any, tokenizer: Path, open_clip: bool, **kw: Any) -> Path:
    save_file(_original(pipeline, open_clip), folder / "model.safetensors", **kw)
    shutil.copytree(tokenizer, folder / "tokenizer")
    return folder / "model.safetensors"


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, tuple[Path, Any]]:
    """By generation; the layout fixes what its file cannot say: 8 heads, or heads of 64, and 32 groups."""
    made = {}
    for open_clip in (False, True):
        folder = tmp_path_factory.mktemp("original") / "folder"
        shape = {
            "text_width": 64,
            "act": "gelu",
            "v_prediction": True,
            "linear_projection": True,
            "heads": [1, 2],
        }
        kw: dict[str, Any] = (
            {**shape, "channels": (64, 128)} if open_clip else {"heads": 8, "channels": (32, 64)}
        )
        made[open_clip] = folder, tiny.make_pipeline(folder, layers=2, seed=3, **kw)
    return made


@pytest.mark.parametrize("open_clip", [False, True])
def test_our_way_back_is_the_reverse_of_diffusers(
    pipelines: dict[bool, tuple[Path, Any]], open_clip: bool
) -> None:
    """Guards the tests below: what they write is what diffusers itself takes for the original layout."""
    pipeline = pipelines[open_clip][1]
    original = _original(pipeline, open_clip)
    got = [
        (convert_ldm_unet_checkpoint(dict(original), pipeline.unet.config), pipeline.unet.state_dict()),
        (convert_ldm_vae_checkpoint(dict(original), pipeline.vae.config), pipeline.vae.state_dict()),
    ]
    text = {n.removeprefix("text_model."): w for n, w in pipeline.text_encoder.state_dict().items()}
    theirs = (
        convert_open_clip_checkpoint(pipeline.text_encoder, dict(original))
        if open_clip
        else convert_ldm_clip_checkpoint(dict(original))
    )
    got.append(({n.removeprefix("text_model."): w for n, w in theirs.items()}, text))
    for converted, wanted in got:
        assert set(wanted) <= set(converted)
        for name, weight in wanted.items():
            assert torch.equal(converted[name].reshape(weight.shape), weight), name


@pytest.mark.parametrize("open_clip, runtime", [(False, "openvino"), (True, "torch")])
def test_equal_to_the_folder(
    pipelines: dict[bool, tuple[Path, Any]], cache: Path, tmp_path: Path, open_clip: bool, runtime: Any
) -> None:
    folder, pipeline = pipelines[open_clip]
    metadata = {"modelspec.prediction_type": "v"} if open_clip else None
    file = _write(tmp_path, pipeline, folder / "tokenizer", open_clip, metadata=metadata)
    one, two = find(file, cache), find(folder, cache)
    for part in ("unet", "vae", "text_encoder"):
        got, wanted = getattr(one, part).stored(), getattr(two, part).stored()
        assert set(got) - {"embeddings.position_ids"} == set(wanted)
        for name, tensor in wanted.items():
            assert np.array_equal(got[name].read().reshape(tensor.shape), tensor.read()), name
    model = open_model(file, runtime, "float32", 1, cache)
    states = model.encode_text("the cat on the moon")
    with torch.no_grad():
        theirs, _ = pipeline.encode_prompt("the cat on the moon", "cpu", 1, False)
        x, t = torch.randn(1, 4, 8, 8), torch.tensor([500.0])
        noise = pipeline.unet(x, t, theirs).sample.numpy()
        picture = pipeline.vae.decode(x / pipeline.vae.config.scaling_factor).sample
    assert np.abs(states - theirs[0].numpy()).max() < 1e-4
    assert np.abs(model.denoise(x.numpy(), t.numpy(), states[None]) - noise).max() < 1e-4
    wanted_picture = (picture[0].permute(1, 2, 0) / 2 + 0.5).clamp(0, 1).numpy()
    assert np.abs(model.decode_float(x.numpy())[0] - wanted_picture).max() < 1e-4
    assert model.schedule.prediction == ("v_prediction" if open_clip else "epsilon")


@pytest.fixture
def state(pipelines: dict[bool, tuple[Path, Any]]) -> Weights:
    return _original(pipelines[False][1], False)


def _message(file: Path, weights: Weights, cache: Path, **kw: Any) -> str:
    save_file(weights, file)
    with pytest.raises(ModelError) as error:
        open_model(file, runtime="openvino", dtype="float32", cache=cache)
    assert "\n" not in str(error.value) and str(file) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "name, words",
    [
        ("conditioner.embedders.0.x", "Stable Diffusion XL"),
        ("model.diffusion_model.double_blocks.0.x", "Flux"),
        ("lora_unet_down_blocks_0.alpha", "a LoRA"),
        (f"{UNET}input_blocks.0.0.extra", "unexpected weight conv_in.extra"),
    ],
)
def test_other_kinds_are_named(state: Weights, tmp_path: Path, cache: Path, name: str, words: str) -> None:
    tiny.make_tokenizer(tmp_path / "tokenizer")
    assert words in _message(tmp_path / "m.safetensors", {**state, name: torch.zeros(1)}, cache)


def test_missing_pieces(state: Weights, tmp_path: Path, cache: Path) -> None:
    tiny.make_tokenizer(tmp_path / "tokenizer")
    without_vae = {n: w for n, w in state.items() if not n.startswith(VAE)}
    assert "holds no autoencoder" in _message(tmp_path / "a.safetensors", without_vae, cache)
    without_out = {n: w for n, w in state.items() if n != f"{UNET}out.2.weight"}
    assert "out.2.weight is missing" in _message(tmp_path / "b.safetensors", without_out, cache)
    without_norm = {n: w for n, w in state.items() if n != f"{UNET}out.0.weight"}
    assert "conv_norm_out.weight is missing" in _message(tmp_path / "c.safetensors", without_norm, cache)


def test_single_file_alone_needs_no_hub(
    state: Weights, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLIP's vocabulary comes with the package; its ids are those of transformers' tokenizer."""
    import huggingface_hub

    from mezzotint.models.disk.single_file import read_single_file
    from mezzotint.models.texts.tokenizer import ClipTokenizer

    def offline(*args: object, **kw: object) -> str:
        raise AssertionError("the hub was called")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    save_file(state, tmp_path / "m.safetensors")
    folder = read_single_file(tmp_path / "m.safetensors", cache).tokenizer
    assert list(ClipTokenizer(folder)("a photo of a cat")[0, :8]) == [
        49406,
        320,
        1125,
        539,
        320,
        2368,
        49407,
        49407,
    ]
    theirs = CLIPTokenizer.from_pretrained(folder)
    text = "An épée, a naïve café; it's 10:10, rock'n'roll, 日本"
    assert (
        theirs(text)["input_ids"]
        == [int(i) for i in ClipTokenizer(folder)(text)[0]][: len(theirs(text)["input_ids"])]
    )


def test_clip_vocabulary_is_mended_where_the_cache_lost_some_of_it(tmp_path: Path) -> None:
    from mezzotint.models.disk.single_file import clip_vocabulary

    place = clip_vocabulary(tmp_path) / "vocab.json"
    whole = place.read_bytes()
    place.write_bytes(whole[:1000])
    assert (clip_vocabulary(tmp_path) / "vocab.json").read_bytes() == whole


@pytest.mark.parametrize(
    "add, metadata, yaml, wanted",
    [
        ({}, None, None, "epsilon"),
        ({"v_pred": torch.zeros(1)}, None, None, "v_prediction"),
        ({}, {"modelspec.prediction_type": "v"}, None, "v_prediction"),
        ({}, {"modelspec.prediction_type": "epsilon"}, 'parameterization: "v"', "epsilon"),
        ({}, None, 'model:\n  params:\n    parameterization: "v"\n', "v_prediction"),
    ],
)
def test_prediction(
    state: Weights, tmp_path: Path, cache: Path, add: Weights, metadata: Any, yaml: str | None, wanted: str
) -> None:
    from mezzotint.models.disk.single_file import read_single_file
    from mezzotint.schedule import Schedule

    tiny.make_tokenizer(tmp_path / "tokenizer")
    save_file({**state, **add}, tmp_path / "m.safetensors", metadata=metadata)
    if yaml:
        (tmp_path / "m.yaml").write_text(yaml)
    bundle = read_single_file(tmp_path / "m.safetensors", cache)
    assert Schedule.from_config(bundle.scheduler).prediction == wanted


def test_what_drawing_does_not_use_is_skipped(
    pipelines: dict[bool, tuple[Path, Any]], state: Weights, tmp_path: Path, cache: Path
) -> None:
    """The discriminator of the autoencoder, averages of training, and projections of the whole CLIP."""
    stray = (
        "first_stage_model.loss.logvar",
        "first_stage_model.model_ema.decay",
        "model_ema.decay",
        "cond_stage_model.transformer.text_projection.weight",
        "cond_stage_model.transformer.logit_scale",
    )
    file, plain = tmp_path / "stray.safetensors", tmp_path / "plain.safetensors"
    save_file(state | {name: torch.zeros(1) for name in stray}, file)
    save_file(state, plain)
    shutil.copytree(pipelines[False][0] / "tokenizer", tmp_path / "tokenizer")
    opened = [open_model(path, runtime="openvino", dtype="float32", cache=cache) for path in (file, plain)]
    first, second = (model.encode_text("a cat") for model in opened)
    assert np.array_equal(first, second)
