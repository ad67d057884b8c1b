"""How LoRA files name layers: each spelling in use, and the weight of a model that it means.

diffusers     unet.down_blocks.0.attentions.0.proj_in.lora_A.weight    also .lora.down., and peft's prefix
kohya         lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight
original      lora_unet_input_blocks_1_1_proj_in.lora_down.weight      Stable Diffusion's own block names
0.17          text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora.up.weight
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mezzotint.errors import ModelError
from mezzotint.models.disk.original_layout import original_unet_names
from mezzotint.models.disk.tensors import Tensor, TensorFile

Stored = Mapping[str, Tensor]  # the weights of a network by name

_FLAT = re.compile(r"(?:lora_(?P<network>unet|te1?|te2)|lycoris)_(?P<rest>\w+\..+)")
_TENSOR = re.compile(
    r"(?P<layer>.+?)(?:\.lora(?:_linear_layer)?[._](?P<side>A|B|down|up|mid)(?:\.\w+)?\.weight"
    r"|(?:\.lora(?:_linear_layer)?)?\.(?P<alpha>alpha)"
    r"|\.(?P<role>lora_magnitude_vector|dora_scale|diff|diff_b|w_norm|b_norm|hada_w[12]_[ab]|hada_t[12]"
    r"|lokr_w[12](?:_[ab])?|lokr_t2)(?:\.default)?(?:\.weight)?)"
)
_SIDES = {"A": "A", "down": "A", "B": "B", "up": "B", "mid": "mid"}
_ROLES = {"w_norm": "diff", "b_norm": "diff_b"}
_NETWORKS = {"unet": "unet", "te": "text_encoder", "te1": "text_encoder", "te2": "text_encoder_2"}
_PEFT = "base_model.model."
_WRAPPERS = {
    "unet.": "unet",
    "diffusion_model.": "unet",
    "text_encoder.": "text_encoder",
    "text_encoder_2.": "text_encoder_2",
}
_OLD = {".processor.": ".", ".to_out_lora.": ".to_out.0.lora.", "_lora.": ".lora."}
_OLD_TEXT = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "out.0": "out_proj"}
_WORDS = "bundle_emb."  # OneTrainer puts the embeddings of new words beside the LoRA


class LayerName(NamedTuple):
    """What one layer of one file is for."""

    network: str  # unet | text_encoder | text_encoder_2
    spelled: str  # the layer as the file has it


def layers_of(file: TensorFile) -> dict[LayerName, dict[str, Tensor]]:
    """The tensors of each layer by their role; embeddings of words are passed over.

    Roles: A, B, mid, alpha, diff, diff_b, peft's lora_magnitude_vector, and LyCORIS' own names for the others.
    ModelError where a tensor has no place in a LoRA.
    """
    layers: dict[LayerName, dict[str, Tensor]] = {}
    for name, tensor in file.items():
        if not name.startswith(_WORDS):
            place, role = _parse_name(name, file)
            layers.setdefault(place, {})[role] = tensor
    return layers


def _parse_name(name: str, file: TensorFile) -> tuple[LayerName, str]:
    network, rest = "unet", name
    if flat := _FLAT.fullmatch(name):
        network, rest = _NETWORKS[flat["network"] or "unet"], flat["rest"]
    else:
        rest = rest.removeprefix(_PEFT)
        for wrapper, inner in _WRAPPERS.items():
            if rest.startswith(wrapper):
                network, rest = inner, rest.removeprefix(wrapper).removeprefix(_PEFT)
        if rest.startswith(("text_model.", "encoder.layers.")):
            network = "text_encoder" if network == "unet" else network
        for old, new in _OLD.items():
            rest = rest.replace(old, new)
    if not (found := _TENSOR.fullmatch(rest)):
        raise ModelError(f"{file.path}: {name} is of no kind of LoRA that is read")
    role = found["role"] or found["alpha"] or _SIDES[found["side"]]
    return LayerName(network, _today(network, found["layer"])), _ROLES.get(role, role)


def _today(network: str, layer: str) -> str:
    """diffusers 0.17 named the attention of text encoders as that of denoisers."""
    if network != "unet" and (old := re.fullmatch(r"(.*\.self_attn\.)to_(q|k|v|out\.0)", layer)):
        return old[1] + _OLD_TEXT[old[2]]
    return layer


def spellings(stored: Stored) -> dict[str, str]:
    """Each spelling of a layer that has weights, and the layer's name in the model."""
    spelled = {}
    for layer, names in _layers(stored):
        for name in (layer, f"text_model.{layer}", *names):
            spelled[name] = spelled[name.replace(".", "_")] = layer
    return spelled


def _layers(stored: Stored) -> Iterable[tuple[str, list[str]]]:
    layers = [name.removesuffix(".weight") for name in stored if name.endswith(".weight")]
    originals = original_unet_names(layers) if "conv_in.weight" in stored else {}
    return ((layer, originals.get(layer, [])) for layer in layers)
