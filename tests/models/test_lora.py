"""LoRA files: merged as diffusers applies them, in both formats, and refused where they do not fit."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from mezzotint.errors import ModelError, RequestError
from mezzotint.models import Model, PixelModel, keep_lora, open_model
from mezzotint.models.denoising import OPEN
from mezzotint.models.lora.files import kept_lora
from mezzotint.models.lora.write import FILE_NAME, peft_layers, save_lora
from mezzotint.models.openvino import runtime as runtime_openvino
from mezzotint.request import Request
from support import tiny_pixels
from support.tiny import Made

Pairs = dict[str, tuple[np.ndarray, np.ndarray]]
BLOCK = "down_blocks.0.attentions.0"
SHAPES = {  # of B @ A: linear layers, convolutions of 1x1 and 3x3, and the text encoder's
    f"unet.{BLOCK}.transformer_blocks.0.attn1.to_q": (32, 32),
    f"unet.{BLOCK}.transformer_blocks.0.attn2.to_k": (32, 32),
    f"unet.{BLOCK}.transformer_blocks.0.attn2.to_out.0": (32, 32),
    f"unet.{BLOCK}.transformer_blocks.0.ff.net.0.proj": (256, 32),
    f"unet.{BLOCK}.proj_in": (32, 32, 1, 1),
    "unet.down_blocks.0.downsamplers.0.conv": (32, 32, 3, 3),
    "unet.down_blocks.1.resnets.0.conv1": (64, 32, 3, 3),
    "unet.down_blocks.1.resnets.0.conv_shortcut": (64, 32, 1, 1),
    "unet.down_blocks.1.resnets.0.time_emb_proj": (64, 128),
    "text_encoder.encoder.layers.0.self_attn.q_proj": (32, 32),
    "text_encoder.encoder.layers.0.self_attn.out_proj": (32, 32),  # by which diffusers tells kohya's
    "text_encoder.encoder.layers.1.mlp.fc1": (64, 32),
}
UNET = {name: shape for name, shape in SHAPES.items() if name.startswith("unet.")}
Q, T = next(iter(SHAPES)), "text_encoder.encoder.layers.0.self_attn.q_proj"


pytestmark = pytest.mark.usefixtures("home_cache")


def pairs(shapes: dict[str, tuple[int, ...]] = SHAPES, seed: int = 0, uneven: bool = False) -> Pairs:
    """Random A and B that change a weight by about a third of itself."""
    rng, made = np.random.default_rng(seed), {}
    for i, (name, (cout, cin, *kernel)) in enumerate(shapes.items()):
        rank = 4 + (i % 3 if uneven else 0)
        a = rng.normal(0, cin**-0.5, (rank, cin, *kernel)).astype(np.float32)
        b = rng.normal(0, 0.3, (cout, rank, *[1] * len(kernel))).astype(np.float32)
        made[name] = a, b
    return made


def probe(model: Model) -> np.ndarray:
    """What it makes of one text and two rows of latents."""
    x = np.random.default_rng(5).normal(size=(2, 4, 8, 8)).astype(np.float32)
    text = np.stack([model.encode_text("the cat")] * 2)
    return model.denoise(x, np.array([900, 20], np.float32), text)


@torch.no_grad()
def theirs(pipeline: Any) -> np.ndarray:
    x = torch.from_numpy(np.random.default_rng(5).normal(size=(2, 4, 8, 8)).astype(np.float32))
    ids = pipeline.tokenizer("the cat", padding="max_length", return_tensors="pt").input_ids
    text = pipeline.text_encoder(ids).last_hidden_state.repeat(2, 1, 1)
    return pipeline.unet(x, torch.tensor([900, 20]), encoder_hidden_states=text).sample.numpy()


def with_loras(pipeline: Any, files: list[Path], weights: list[float]) -> np.ndarray:
    """diffusers' own way."""
    names = [f"a{i}" for i in range(len(files))]
    try:
        for name, file in zip(names, files, strict=True):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the second adapter
                pipeline.load_lora_weights(file, adapter_name=name)
        pipeline.set_adapters(names, weights)
        return theirs(pipeline)
    finally:
        pipeline.unload_lora_weights()


def near(ours: np.ndarray, reference: np.ndarray) -> bool:
    return bool(np.abs(ours - reference).max() <= 2e-5 * np.abs(reference).max())


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
@pytest.mark.parametrize("kind", ["diffusers", "kohya"])
def test_merged_equals_diffusers(
    home_model: Made, home_opened: Callable[[str], Model], tmp_path: Path, kind: Any, runtime: str
) -> None:
    model, file = home_opened(runtime), tmp_path / "a.safetensors"
    save_lora(file, pairs(uneven=kind == "diffusers"), 3.0, kind)
    plain = theirs(home_model.pipeline)
    reference = with_loras(home_model.pipeline, [file], [0.8])
    ours = probe(model.with_lora(f"0.8*{keep_lora(file)}"))
    assert near(ours, reference)
    assert np.abs(reference - plain).max() > 100 * np.abs(ours - reference).max(), "it changes much"
    assert near(probe(model), plain), "the model itself is as it was"


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
def test_two_at_once(
    home_model: Made, home_opened: Callable[[str], Model], tmp_path: Path, runtime: str
) -> None:
    """In both formats, with layers in common and layers of their own."""
    files = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    save_lora(files[0], pairs(), 8.0, "kohya")
    save_lora(files[1], pairs({Q: SHAPES[Q], T: SHAPES[T]}, seed=1), 4.0)
    reference = with_loras(home_model.pipeline, files, [0.8, -0.5])
    lora = Request(lora=f"0.8*{keep_lora(files[0])} + -0.5*{keep_lora(files[1])}").lora
    assert near(probe(home_opened(runtime).with_lora(lora)), reference)


def test_as_diffusers_saves_what_peft_trained(
    home_model: Made, home_opened: Callable[[str], Model], tmp_path: Path
) -> None:
    """Its settings come along in the metadata: ranks and alphas by layer, rank-stabilized."""
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig, get_peft_model_state_dict

    pipeline = StableDiffusionPipeline.from_pretrained(home_model.folder, safety_checker=None)
    config = LoraConfig(
        r=4,
        lora_alpha=2,
        target_modules=["to_q", "to_v", "conv1"],
        rank_pattern={"to_v": 2},
        alpha_pattern={"to_v": 5, "mid_block.resnets.0.conv1": 3},
        use_rslora=True,
        init_lora_weights=False,
    )
    pipeline.unet.add_adapter(config)
    state = get_peft_model_state_dict(pipeline.unet)
    pipeline.save_lora_weights(tmp_path, state, unet_lora_adapter_metadata=config.to_dict())
    reference = theirs(pipeline)
    assert not near(theirs(home_model.pipeline), reference)
    assert near(probe(home_opened("torch").with_lora(keep_lora(tmp_path))), reference)
    assert set(peft_layers(state)) == {name.split(".lora_")[0] for name in state}


@pytest.mark.parametrize(
    "spelled",
    [
        "base_model.model.{layer}.lora_{ab}.weight",
        "base_model.model.unet.{layer}.lora_{ab}.default.weight",
        "unet.{layer}.lora.{side}.weight",
        "{layer}.lora.{side}.weight",
        "unet.{old}_lora.{side}.weight",
        "lora_unet_{flat}.lora_{side}.weight",
    ],
)
def test_every_spelling_is_the_same_layer(
    home_opened: Callable[[str], Model], tmp_path: Path, spelled: str
) -> None:
    layer = f"{BLOCK}.transformer_blocks.0.attn2.to_out.0"
    [(a, b)] = pairs({layer: (32, 32)}).values()
    old = layer.replace("attn2.to_out.0", "attn2.processor.to_out")
    names = {"layer": layer, "old": old, "flat": layer.replace(".", "_")}
    sides = (("A", "down", a), ("B", "up", b))
    tensors = {spelled.format(ab=ab, side=side, **names): value for ab, side, value in sides}
    save_file(tensors, tmp_path / "spelled.safetensors")
    save_lora(tmp_path / "ours.safetensors", {layer: (a, b)}, 4.0)
    model = home_opened("torch")
    ours, theirs_ = (
        probe(model.with_lora(keep_lora(tmp_path / f"{name}.safetensors"))) for name in ("ours", "spelled")
    )
    assert np.array_equal(ours, theirs_)
    assert not near(ours, probe(model))


def test_half_precision_files(home_opened: Callable[[str], Model], tmp_path: Path) -> None:
    from safetensors.torch import save_file as save_torch

    save_lora(tmp_path / "a.safetensors", pairs(UNET), 4.0, "kohya")
    full = load_file(tmp_path / "a.safetensors")
    brain = {name: torch.from_numpy(value).bfloat16() for name, value in full.items()}
    save_torch(brain, tmp_path / "b.safetensors")
    one, other = (
        probe(home_opened("torch").with_lora(keep_lora(tmp_path / f"{n}.safetensors"))) for n in "ab"
    )
    assert 0 < np.abs(one - other).max() < 0.02 * np.abs(one).max()


def test_weights_scale(home_opened: Callable[[str], Model], tmp_path: Path) -> None:
    """Twice the weight of half the matrix is the same; a weight of 0 is the model itself."""
    whole = pairs(UNET)
    half = {name: (a, b / 2) for name, (a, b) in whole.items()}
    save_lora(tmp_path / "whole.safetensors", whole, 4.0)
    save_lora(tmp_path / "half.safetensors", half, 4.0)
    one, two = (keep_lora(tmp_path / f"{name}.safetensors") for name in ("whole", "half"))
    model = home_opened("openvino")
    assert np.array_equal(probe(model.with_lora(f"0.5*{one}")), probe(model.with_lora(two)))
    assert Request(lora=f"0*{one}").lora == ""
    assert model.with_lora("") is model


def test_attention_and_gradients_are_those_of_the_merged_network(
    home_opened: Callable[[str], Model], tmp_path: Path
) -> None:
    save_lora(tmp_path / "a.safetensors", pairs(), 4.0)
    model = home_opened("openvino")
    with_ = model.with_lora(keep_lora(tmp_path / "a.safetensors"))
    x = np.random.default_rng(1).normal(size=(1, 4, 8, 8)).astype(np.float32)
    inputs = x, np.array([500], np.float32), with_.encode_text("a cat")[None]
    out = with_.denoise(*inputs)
    seen, maps = with_.attend(*inputs)
    assert np.array_equal(seen, out)
    assert np.abs(maps[0] - model.attend(*inputs)[1][0]).max() > 1e-3
    again, back = with_.pullback(*inputs)
    assert near(again, out)
    d = np.random.default_rng(2).normal(size=out.shape).astype(np.float32)
    step = np.float32(1e-2)
    slope = (with_.denoise(x + step * d, *inputs[1:]) - with_.denoise(x - step * d, *inputs[1:])) / (2 * step)
    assert np.vdot(slope, d) == pytest.approx(float(np.vdot(back(d), d)), rel=1e-2)
    assert near(model.pullback(*inputs)[0], model.denoise(*inputs)), "and its own stay its own"


def test_a_pixel_model(home: Path, tmp_path: Path) -> None:
    pipeline = tiny_pixels.make_pixels(home / "pixels", tiny_pixels.FACES)
    model = open_model(home / "pixels", "openvino", "float32", 1, home / "compiled")
    assert isinstance(model, PixelModel)
    name = "down_blocks.2.attentions.0.to_q"
    [(a, b)] = pairs({name: (96, 96)}).values()
    save_lora(tmp_path / "a.safetensors", {name: (a, b)}, 4.0)
    weight = pipeline.unet.get_submodule(name).weight
    x = np.random.default_rng(1).normal(size=(1, 3, 16, 16)).astype(np.float32)
    ours = model.with_lora(keep_lora(tmp_path / "a.safetensors")).denoise(x, np.array([5], np.float32), x)
    with torch.no_grad():
        weight += torch.from_numpy(b @ a)
        assert near(ours, pipeline.unet(torch.from_numpy(x), 5).sample.numpy())
    save_lora(tmp_path / "b.safetensors", {T: pairs()[T]}, 4.0)
    with pytest.raises(
        ModelError, match=r"b\.safetensors is for a text_encoder, which the model does not have"
    ):
        model.check_lora(keep_lora(tmp_path / "b.safetensors"))


def test_few_stay_open_and_few_stay_on_disk(
    home_opened: Callable[[str], Model], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_openvino, "ADAPTED_KEPT", 2)
    save_lora(tmp_path / "a.safetensors", pairs({Q: SHAPES[Q]}), 4.0)
    digest, model = keep_lora(tmp_path / "a.safetensors"), home_opened("openvino")
    first = model.with_lora(f"0.01*{digest}")
    assert model.with_lora(f"0.01*{digest}") is first
    before = probe(first)
    for i in range(2, OPEN + 2):
        model.with_lora(f"0.0{i}*{digest}")
    assert len(model._adapted) == OPEN
    assert len(list((home / "compiled/adapted/networks").iterdir())) <= 3
    x = np.zeros((1, 4, 8, 8), np.float32)
    out = first.denoise(x, np.zeros(1, np.float32), first.encode_text("")[None])
    assert np.isfinite(out).all(), "what was dropped still runs, also at a size that it never met"
    assert np.array_equal(probe(model.with_lora(f"0.01*{digest}")), before)


# Files and requests


def test_it_is_kept_by_its_content(home_cache: Path, tmp_path: Path) -> None:
    save_lora(tmp_path / "run" / FILE_NAME, pairs(UNET), 4.0)
    digest = keep_lora(tmp_path / "run")
    assert digest == keep_lora(tmp_path / "run" / FILE_NAME)
    assert kept_lora(digest) == home_cache / "loras" / f"{digest}.safetensors"
    assert kept_lora(digest).read_bytes() == (tmp_path / "run" / FILE_NAME).read_bytes()
    kept_lora(digest).write_bytes(b"another")
    with pytest.raises(
        RequestError, match=f"no adapter {digest[:10]} is kept here; give its file again with"
    ):
        kept_lora(digest)
    assert keep_lora(tmp_path / "run") == digest
    assert kept_lora(digest).exists()


A, B = "a" * 64, "b" * 64


def test_the_field_is_canonical_and_old_requests_keep_their_digest() -> None:
    assert Request().digest == replace(Request(lora=f"1*{A}"), lora="").digest
    one = Request(lora=f"+0.50*{B}+1.0*{A}")
    assert one.lora == f"{A} + 0.5*{B}"
    assert one == Request(lora=f" {A}  + 5e-1 * {B}") == Request.from_json(one.to_json())
    assert one.digest != Request().digest


@pytest.mark.parametrize(
    ("lora", "said"),
    [
        ("style.safetensors", "cannot be read at character 1; write 0.8*DIGEST"),
        (f"{A} {B}", "cannot be read at character 66"),
        (f"5*{A}", "a weight is from -4 to 4, got '5'"),
        (f"1..2*{A}", "'1..2' is not a number"),
        (f"{A} + 0.5*{A}", "is named twice; add its weights"),
        (" + ".join(f"{i:064x}" for i in range(9)), "at most 8 adapters are merged, got 9"),
        (7, "lora must be text"),
    ],
)
def test_bad_expressions(lora: Any, said: str) -> None:
    with pytest.raises(RequestError) as error:
        Request(lora=lora)
    assert said in str(error.value)


def written(path: Path, tensors: dict[str, np.ndarray], **metadata: str) -> Path:
    save_file(tensors, path, metadata or None)
    return path


def one_layer(name: str = Q, shape: tuple[int, ...] = (32, 32)) -> dict[str, np.ndarray]:
    [(a, b)] = pairs({name: shape}).values()
    return {f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b}


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({}, "holds no LoRA"),
        (
            {"lora_unet_mid_block_x.hada_w1_a": np.zeros(2, np.float32)},
            "mid_block_x has no hada_w1_b, which a LoRA",
        ),
        (
            {f"{Q}.lora_magnitude_vector": np.zeros(2, np.float32)},
            "to_q has lora_magnitude_vector alone",
        ),
        ({f"{Q}.lora_A.weight": np.zeros((2, 32), np.float32)}, "attn1.to_q has no B"),
        ({"<cat>": np.zeros((2, 32), np.float32)}, "is a textual inversion (give it with --word)"),
        ({"clip_l": np.zeros((2, 32), np.float32)}, "is a textual inversion"),
        ({"control_model.x.weight": np.zeros(2, np.float32)}, "is a ControlNet"),
        ({"model.diffusion_model.x.weight": np.zeros(2, np.float32)}, "is a whole model (give it with"),
        ({"down_blocks.0.x.weight": np.zeros(2, np.float32)}, "is the weights of a denoiser"),
        ({"lora_unet_x.oft_blocks": np.zeros(2, np.float32)}, "is an OFT adapter"),
        ({"lora_unet_x.something": np.zeros(2, np.float32)}, "x.something is of no kind of LoRA"),
    ],
)
def test_what_is_no_lora_is_not_kept(
    home_cache: Path, tmp_path: Path, tensors: dict[str, np.ndarray], said: str
) -> None:
    with pytest.raises(ModelError) as error:
        keep_lora(written(tmp_path / "x.safetensors", tensors))
    assert said in str(error.value) and "\n" not in str(error.value)


def test_pickled_and_damaged_files_are_refused(tmp_path: Path) -> None:
    for name, said in (("x.pt", "may be pickled"), ("x.safetensors", "is not a safetensors file")):
        torch.save({"a": torch.zeros(3)}, tmp_path / name)
        with pytest.raises(ModelError, match=said):
            keep_lora(tmp_path / name)
    with pytest.raises(ModelError, match="cannot read"):
        keep_lora(tmp_path / "missing.safetensors")


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        (
            one_layer(Q.replace("to_q", "to_qq")),
            "x.safetensors fits no layer: the model's unet has no down_blocks.0.attentions.0",
        ),
        (one_layer("text_encoder_2.encoder.layers.0.mlp.fc1"), "is a LoRA of Stable Diffusion XL"),
        (one_layer(shape=(32, 64)), "attn1.to_q: A [4, 64] and B [32, 4] do not fit its [32, 32]"),
        (one_layer() | {f"{Q}.lora_B.weight": np.zeros((32, 5), np.float32)}, "do not fit"),
        (one_layer("unet.conv_in", (32, 4)), "conv_in: A [4, 4] and B [32, 4] do not fit its [32, 4, 3, 3]"),
        (one_layer() | {f"{Q}.alpha": np.array(np.nan, np.float32)}, "alpha of"),
    ],
)
def test_what_does_not_fit_is_told_before_any_work(
    home_opened: Callable[[str], Model], tmp_path: Path, tensors: dict[str, np.ndarray], said: str
) -> None:
    digest = keep_lora(written(tmp_path / "x.safetensors", tensors))
    with pytest.raises(ModelError) as error:
        home_opened("openvino").check_lora(digest)
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("[1]", "damaged settings"),
        (json.dumps({"unet.lora_alpha": "much"}), "alpha of"),
        (json.dumps({"unet.alpha_pattern": {"(a|a)*": 1}}), "alpha of"),
        (json.dumps({"unet.use_dora": True}), "has no lora_magnitude_vector, which use_dora"),
    ],
)
def test_settings_are_not_trusted(
    home_opened: Callable[[str], Model], tmp_path: Path, settings: str, said: str
) -> None:
    digest = keep_lora(written(tmp_path / "x.safetensors", one_layer(), lora_adapter_metadata=settings))
    with pytest.raises(ModelError, match=said):
        home_opened("openvino").check_lora(digest)


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
def test_what_is_not_finite_is_told_by_name(
    home_opened: Callable[[str], Model], tmp_path: Path, runtime: str
) -> None:
    tensors = one_layer()
    tensors[f"{Q}.lora_B.weight"][3, 2] = np.nan
    digest = keep_lora(written(tmp_path / "x.safetensors", tensors))
    with pytest.raises(
        ModelError, match=r"unet\.down.*attn1\.to_q holds NaN or infinity; the LoRA is damaged"
    ):
        home_opened(runtime).with_lora(digest)


def test_the_writer_refuses_what_no_reader_would_take(tmp_path: Path) -> None:
    a, b = pairs()[Q]
    with pytest.raises(ModelError, match="are no LoRA of one layer"):
        save_lora(tmp_path / "x.safetensors", {Q: (a, b[:, 1:])}, 4.0)
    with pytest.raises(ModelError, match="training went wrong"):
        save_lora(tmp_path / "x.safetensors", {Q: (a * np.float32(np.inf), b)}, 4.0)
    assert list(tmp_path.iterdir()) == []
