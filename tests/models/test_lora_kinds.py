"""Adapters beyond plain LoRA: what is merged is what peft, diffusers or LyCORIS' formulas give."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from peft import LoHaConfig, LoKrConfig, LoraConfig, get_peft_model
from safetensors.numpy import save_file

from mezzotint.errors import ModelError
from mezzotint.models import Model, keep_lora
from mezzotint.models.disk.original_layout import original_unet_names, unet_weights
from mezzotint.models.disk.weights import Tensor, TensorFile
from mezzotint.models.lora.files import words_in_loras
from mezzotint.models.lora.read import deltas
from support.tiny import Made

pytestmark = pytest.mark.usefixtures("home_cache")

BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0"
Q, CONV, SQUARE = f"{BLOCK}.attn1.to_q", "down_blocks.1.resnets.0.conv1", "down_blocks.0.resnets.0.conv1"
TARGETS = ["to_q", "ff.net.0.proj", "proj_in", "conv1", "time_emb_proj"]
Weights = dict[str, np.ndarray]


def unet_of(made: Made) -> UNet2DConditionModel:
    return UNet2DConditionModel.from_pretrained(made.folder / "unet")


def flat(layer: str) -> str:
    return "lora_unet_" + layer.replace(".", "_")


def stored(made: Made) -> dict[str, Tensor]:
    [file] = (made.folder / "unet").glob("*.safetensors")
    return dict(TensorFile.open(file))


def merged(made: Made, path: Path, weight: float = 1.0, name: str = "x") -> Weights:
    """The weights of the denoiser that an adapter changes, as they are merged."""
    own = stored(made)
    found = deltas(TensorFile.open(path), name, {"unet": own})
    bases = {key: own[key].read().astype(np.float32) for _, key in found}
    return {key: bases[key] + weight * delta.added_to(bases[key]) for (_, key), delta in found.items()}


def kept(path: Path, made: Made) -> Weights:
    """The same, through the file that is kept."""
    from mezzotint.models.lora.files import kept_lora

    return merged(made, kept_lora(keep_lora(path)))


def assert_near(ours: Weights, reference: Weights) -> None:
    assert ours.keys() == reference.keys() and ours
    for name, value in reference.items():
        assert np.allclose(ours[name], value, rtol=1e-4, atol=2e-6), name


def randomized(model: torch.nn.Module, part: str) -> None:
    torch.manual_seed(3)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if part in name:
                value.copy_(torch.randn_like(value) * (0.3 if value.ndim > 1 else 0.05) + (value.ndim < 2))


RSLORA = {
    "rank_pattern": {r".*attn[12]\.to_q": 2},
    "alpha_pattern": {r"^down_blocks\.0.*to_q": 6, "conv1": 3},
}


@pytest.mark.parametrize(
    "config",
    [
        LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS),
        LoraConfig(r=4, lora_alpha=3, target_modules=TARGETS, use_rslora=True, **RSLORA),
        LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS, use_dora=True),
        LoHaConfig(r=3, alpha=6, target_modules=TARGETS),
        LoHaConfig(
            r=3, alpha=6, target_modules=TARGETS, use_effective_conv2d=True, alpha_pattern={"conv1": 2}
        ),
        LoKrConfig(r=2, alpha=6, target_modules=TARGETS),
        LoKrConfig(r=2, alpha=6, target_modules=TARGETS, decompose_both=True, decompose_factor=8),
        LoKrConfig(r=2, alpha=6, target_modules=TARGETS, use_effective_conv2d=True),
        LoKrConfig(r=64, alpha=6, target_modules=TARGETS, rank_pattern={"to_q": 32}),
    ],
    ids=["lora", "rslora", "dora", "loha", "loha-tucker", "lokr", "lokr-both", "lokr-tucker", "lokr-whole"],
)
def test_what_peft_saves_is_merged_as_peft_merges_it(home_model: Made, tmp_path: Path, config: Any) -> None:
    model = get_peft_model(unet_of(home_model), config)
    randomized(model, {"LORA": "lora_", "LOHA": "hada_", "LOKR": "lokr_"}[config.peft_type.value])
    model.save_pretrained(tmp_path)
    weights = model.merge_and_unload().state_dict()
    ours = kept(tmp_path, home_model)
    plain = unet_of(home_model).state_dict()
    changed = {name for name, value in weights.items() if not torch.equal(value, plain[name])}
    assert changed == set(ours)
    assert_near(ours, {name: weights[name].numpy() for name in changed})


def test_dora_as_diffusers_saves_it_is_drawn_as_diffusers_draws_it(
    home_model: Made, home_opened: Callable[[str], Model], tmp_path: Path
) -> None:
    from peft import get_peft_model_state_dict

    pipeline = StableDiffusionPipeline.from_pretrained(home_model.folder, safety_checker=None)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS, use_dora=True, init_lora_weights=False)
    pipeline.unet.add_adapter(config)
    randomized(pipeline.unet, "magnitude")
    state = get_peft_model_state_dict(pipeline.unet)
    pipeline.save_lora_weights(tmp_path, state, unet_lora_adapter_metadata=config.to_dict())
    x, text = torch.randn(1, 4, 8, 8), torch.randn(1, 16, 32)
    with torch.no_grad():
        reference = pipeline.unet(x, 500, encoder_hidden_states=text).sample.numpy()
    model = home_opened("torch").with_lora(keep_lora(tmp_path))
    ours = model.denoise(x.numpy(), np.array([500], np.float32), text.numpy())
    assert np.abs(ours - reference).max() <= 2e-5 * np.abs(reference).max()


@pytest.mark.parametrize(("layer", "axis"), [(CONV, 0), (CONV, 1), (SQUARE, 0), (SQUARE, 1), (Q, 1)])
def test_dora_scale_runs_along_the_axis_that_its_ones_leave(
    home_model: Made, tmp_path: Path, layer: str, axis: int
) -> None:
    """LyCORIS keeps (cout, 1, 1, 1), or (1, cin, 1, 1) in older files; half the weight goes half the way."""
    rng, weight = (
        np.random.default_rng(0),
        torch.from_numpy(stored(home_model)[f"{layer}.weight"].read().copy()),
    )
    shape = [n if i == axis else 1 for i, n in enumerate(weight.shape)]
    m = rng.uniform(1, 2, shape).astype(np.float32)
    diff = rng.normal(0, 0.1, weight.shape).astype(np.float32)
    save_file({f"{flat(layer)}.diff": diff, f"{flat(layer)}.dora_scale": m}, tmp_path / "a.safetensors")
    whole = weight + torch.from_numpy(diff)
    axes = [i for i in range(weight.ndim) if i != axis]
    reference = torch.from_numpy(m) * whole / torch.linalg.vector_norm(whole, dim=axes, keepdim=True)
    assert_near(merged(home_model, tmp_path / "a.safetensors"), {f"{layer}.weight": reference.numpy()})
    half = merged(home_model, tmp_path / "a.safetensors", 0.5)
    assert_near(half, {f"{layer}.weight": ((weight + reference) / 2).numpy()})


def test_a_tucker_core_is_the_convolutions_one_after_the_other(home_model: Made, tmp_path: Path) -> None:
    """`lora_mid`: down is 1x1, mid has the kernel, up is 1x1."""
    rng = np.random.default_rng(0)
    down, mid, up = (
        rng.normal(size=s).astype(np.float32) for s in [(3, 32, 1, 1), (3, 3, 3, 3), (64, 3, 1, 1)]
    )
    tensors = {
        "lora_down.weight": down,
        "lora_mid.weight": mid,
        "lora_up.weight": up,
        "alpha": np.float32([6]),
    }
    save_file({f"{flat(CONV)}.{name}": value for name, value in tensors.items()}, tmp_path / "a.safetensors")
    ours = merged(home_model, tmp_path / "a.safetensors")[f"{CONV}.weight"]
    delta = torch.from_numpy(ours - stored(home_model)[f"{CONV}.weight"].read())
    x = torch.from_numpy(rng.normal(size=(1, 32, 8, 8)).astype(np.float32))
    conv, parts = torch.nn.functional.conv2d, [torch.from_numpy(value) for value in (down, mid, up)]
    reference = 2 * conv(conv(conv(x, parts[0]), parts[1], padding=1), parts[2])
    assert torch.allclose(
        conv(x, delta, padding=1), reference, rtol=1e-3, atol=1e-3 * float(reference.abs().max())
    )


@pytest.mark.parametrize(("whole", "scale"), [(("w1", "w2"), 1.0), (("w1",), 1.5), (("w2",), 1.5), ((), 1.5)])
def test_lokr_of_lycoris_leaves_alpha_unread_where_both_are_whole(
    home_model: Made, tmp_path: Path, whole: tuple[str, ...], scale: float
) -> None:
    rng = np.random.default_rng(0)
    tensors, products = {"alpha": np.array(3, np.float32)}, []
    for name, (rows, columns) in {"w1": (4, 8), "w2": (8, 4)}.items():
        a, b = (rng.normal(size=shape).astype(np.float32) for shape in ((rows, 2), (2, columns)))
        products.append(a @ b)
        tensors |= {f"lokr_{name}": a @ b} if name in whole else {f"lokr_{name}_a": a, f"lokr_{name}_b": b}
    save_file({f"{flat(Q)}.{name}": value for name, value in tensors.items()}, tmp_path / "a.safetensors")
    base = stored(home_model)[f"{Q}.weight"].read()
    reference = base + scale * torch.kron(*map(torch.from_numpy, products)).numpy()
    assert_near(merged(home_model, tmp_path / "a.safetensors"), {f"{Q}.weight": reference})


def test_differences_of_weights_biases_and_norms_are_added(home_model: Made, tmp_path: Path) -> None:
    rng, own = np.random.default_rng(0), stored(home_model)
    norm = "down_blocks.0.resnets.0.norm1"
    names = {
        f"{flat(CONV)}.diff": f"{CONV}.weight",
        f"{flat(CONV)}.diff_b": f"{CONV}.bias",
        f"{flat(norm)}.w_norm": f"{norm}.weight",
        f"{flat(norm)}.b_norm": f"{norm}.bias",
    }
    tensors = {key: rng.normal(size=own[name].shape).astype(np.float32) for key, name in names.items()}
    save_file(tensors, tmp_path / "a.safetensors")
    reference = {name: own[name].read() + 0.5 * tensors[key] for key, name in names.items()}
    assert_near(merged(home_model, tmp_path / "a.safetensors", 0.5), reference)


# Names


@pytest.mark.parametrize("which", ["first", "second"])
def test_original_block_names_are_those_of_single_files(
    request: pytest.FixtureRequest, which: str, tmp_path: Path
) -> None:
    """They lead back to diffusers' names by the map that opens single files, whatever the UNet's depth."""
    made: Made = request.getfixturevalue(which)
    layers = [name.removesuffix(".weight") for name in stored(made) if name.endswith(".weight")]
    names = original_unet_names(layers)
    assert set(names) == set(layers)
    for i in range(2):
        tensors = {f"{names[layer][min(i, len(names[layer]) - 1)]}.weight": layer for layer in layers}
        assert {f"{layer}.weight": layer for layer in layers} == unet_weights(tensors)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("original", "layer"),
    [
        ("input_blocks_1_1_transformer_blocks_0_attn1_to_q", Q),
        ("input_blocks_1_0_in_layers_2", SQUARE),
        ("input_blocks_2_0_op", "down_blocks.0.downsamplers.0.conv"),
        ("middle_block_1_proj_in", "mid_block.attentions.0.proj_in"),
        ("output_blocks_1_1_conv", "up_blocks.0.upsamplers.0.conv"),
        ("output_blocks_2_1_proj_out", "up_blocks.1.attentions.0.proj_out"),
        ("time_embed_0", "time_embedding.linear_1"),
    ],
)
def test_original_names_mean_the_layers_of_diffusers(
    home_model: Made, tmp_path: Path, original: str, layer: str
) -> None:
    shape = stored(home_model)[f"{layer}.weight"].shape
    save_file({f"lora_unet_{original}.diff": np.ones(shape, np.float32)}, tmp_path / "a.safetensors")
    assert set(merged(home_model, tmp_path / "a.safetensors")) == {f"{layer}.weight"}


@pytest.mark.parametrize(
    "spelled",
    [
        "text_encoder.text_model.encoder.layers.0.self_attn.to_{old}_lora.{side}.weight",
        "text_encoder.text_model.encoder.layers.0.self_attn.{new}.lora_linear_layer.{side}.weight",
        "text_encoder.encoder.layers.0.self_attn.{new}.lora_{ab}.weight",
        "base_model.model.text_model.encoder.layers.0.self_attn.{new}.lora_{ab}.weight",
        "base_model.model.text_encoder.text_model.encoder.layers.0.self_attn.{new}.lora_{ab}.weight",
        "lora_te_text_model_encoder_layers_0_self_attn_{new}.lora_{side}.weight",
        "lora_te1_text_model_encoder_layers_0_self_attn_{new}.lora_{side}.weight",
    ],
)
@pytest.mark.parametrize(
    ("old", "new"), [("q", "q_proj"), ("k", "k_proj"), ("v", "v_proj"), ("out", "out_proj")]
)
def test_text_encoders_have_old_and_new_names(tmp_path: Path, spelled: str, old: str, new: str) -> None:
    sides = (("A", "down", (2, 32)), ("B", "up", (32, 2)))
    tensors = {
        spelled.format(old=old, new=new, ab=ab, side=side): np.ones(shape, np.float32)
        for ab, side, shape in sides
    }
    save_file(tensors, tmp_path / "a.safetensors")
    weight = f"encoder.layers.0.self_attn.{new}.weight"
    own = {weight: Tensor(tmp_path, "F32", (32, 32), 0)}
    found = deltas(TensorFile.open(tmp_path / "a.safetensors"), "a", {"unet": {}, "text_encoder": own})
    assert set(found) == {("text_encoder", weight)}


# What is said


def lora(layer: str, shape: tuple[int, int] = (32, 32)) -> Weights:
    cout, cin = shape
    sides = {"lora_down.weight": (2, cin), "lora_up.weight": (cout, 2)}
    return {f"{flat(layer)}.{side}": np.ones(size, np.float32) for side, size in sides.items()}


def test_layers_that_the_model_lacks_are_told_once_and_left_out(
    home_model: Made, home_opened: Callable[[str], Model], tmp_path: Path
) -> None:
    path = tmp_path / "style.safetensors"
    save_file(lora(Q) | lora("down_blocks.7.attentions.0.proj_in"), path)
    model, digest = home_opened("torch"), keep_lora(path)
    said = r"style\.safetensors: the model lacks 1 of its 2 layers, such as unet\.down_blocks_7_attentions_0_proj_in"
    with pytest.warns(UserWarning, match=said):
        model.check_lora(digest)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.check_lora(digest)
        model.with_lora(digest)
    assert set(merged_quietly(home_model, path)) == {f"{Q}.weight"}


def merged_quietly(made: Made, path: Path) -> Weights:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return merged(made, path)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        (lora(Q) | lora(f"{BLOCK[:-1]}4.attn1.to_q"), "is a LoRA of Stable Diffusion XL"),
        (lora("double_blocks.0.img_attn.qkv"), "is a LoRA of Flux"),
        (lora("joint_blocks.0.x_block.attn.qkv"), "is a LoRA of Stable Diffusion 3"),
        (lora("down_blocks.9.proj_in"), "fits no layer: the model's unet has no down_blocks_9_proj_in"),
        (lora(Q, (32, 64)), "do not fit its"),
        ({f"{flat(Q)}.diff_b": np.ones(32, np.float32)}, "has no bias in this model"),
        (lora(Q) | {f"{flat(Q)}.dora_scale": np.ones((31, 1), np.float32)}, "do not fit its"),
    ],
)
def test_errors_name_the_file_that_was_given(
    home_opened: Callable[[str], Model], tmp_path: Path, tensors: Weights, said: str
) -> None:
    path = tmp_path / "mine.safetensors"
    save_file(tensors, path)
    with pytest.raises(ModelError) as error:
        home_opened("torch").check_lora(keep_lora(path))
    assert said in str(error.value) and str(path) in str(error.value) and "/loras/" not in str(error.value)


def test_damage_found_while_merging_names_the_file_too(
    home_opened: Callable[[str], Model], tmp_path: Path
) -> None:
    path = tmp_path / "mine.safetensors"
    save_file({name: value * np.float32(np.nan) for name, value in lora(Q).items()}, path)
    with pytest.raises(ModelError, match=r"mine\.safetensors: unet\..*attn1\.to_q holds NaN"):
        home_opened("torch").with_lora(keep_lora(path))


@pytest.mark.parametrize("name", ["lcm-lora-sdv1-5.safetensors", "LCM_sd15.safetensors"])
def test_an_lcm_lora_says_what_it_needs(home_model: Made, tmp_path: Path, name: str) -> None:
    save_file(lora(Q), tmp_path / "a.safetensors")
    with pytest.warns(UserWarning, match="needs the sampler lcm, which Mezzotint does not have yet"):
        merged(home_model, tmp_path / "a.safetensors", name=name)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"peft_type": "VERA"}, "peft_type 'VERA' is not read; LORA, LOHA and LOKR are"),
        ({"peft_type": "LORA", "lora_bias": True}, "lora_bias is set, which is not merged"),
        ({"peft_type": "LORA", "fan_in_fan_out": True}, "fan_in_fan_out is set"),
    ],
)
def test_settings_that_are_not_merged_are_refused(tmp_path: Path, config: dict[str, Any], said: str) -> None:
    save_file(lora(Q), tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=said):
        keep_lora(tmp_path)


@pytest.mark.parametrize("pattern", ["(a|a)*b", "(a+)+b", ".*.*.*.*.*b", "(", "a" * 400, r"(a)\1"])
def test_patterns_that_may_run_for_ever_are_refused(home_model: Made, tmp_path: Path, pattern: str) -> None:
    save_file(lora(Q), tmp_path / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "alpha_pattern": {pattern: 1}}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="alpha of"):
        kept(tmp_path, home_model)


# Words in a LoRA file


@pytest.mark.parametrize("key", ["emb_params", "clip_l", "string_to_param.*"])
def test_a_bundle_brings_its_words(
    home_model: Made, home_opened: Callable[[str], Model], tmp_path: Path, key: str
) -> None:
    rows = np.random.default_rng(0).normal(size=(2, 32)).astype(np.float32)
    path = tmp_path / "bundle.safetensors"
    save_file(lora(Q) | {f"bundle_emb.<gloss>.{key}": rows}, path)
    assert set(merged(home_model, path)) == {f"{Q}.weight"}
    [word] = words_in_loras([f"{path}:0.5"])
    assert word.name == "<gloss>"
    save_file({"<gloss>": rows}, tmp_path / "word.safetensors")
    from mezzotint.models import keep_word

    model = home_opened("torch")
    ours = model.with_words(str(word)).encode_text("a <gloss> cat")
    alone = model.with_words(str(keep_word(tmp_path / "word.safetensors"))).encode_text("a <gloss> cat")
    assert np.array_equal(ours, alone)
