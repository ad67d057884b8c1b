"""How LoRA files name layers, and what they say of alpha and rank.

diffusers     unet.down_blocks.0.attentions.0.proj_in.lora_A.weight    also .lora.down., and peft's prefix
kohya         lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight
original      lora_unet_input_blocks_1_1_proj_in.lora_down.weight      Stable Diffusion's own block names
0.17          text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora.up.weight

peft's settings stand in its own `adapter_config.json`, or in a file's metadata.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mezzotint.config_keys import unknown_keys
from mezzotint.errors import ModelError, nearest
from mezzotint.models.disk.original_layout import original_unet_names
from mezzotint.models.disk.parts import read_json
from mezzotint.models.disk.weights import Tensor, TensorFile
from mezzotint.models.lora.peft_keys import CHANGES_MODEL, KEYS, REFUSED, USED

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


CONFIG_NAME, WEIGHTS_NAME = "adapter_config.json", "adapter_model.safetensors"
PEFT_KEY = "mezzotint_adapter_config"
"""Where a kept file has what stood in `adapter_config.json` beside it."""

_DIFFUSERS_KEY = "lora_adapter_metadata"  # diffusers writes {"unet.lora_alpha": 8, ...} there
_KINDS = ("LORA", "LOHA", "LOKR")
MOST_REPEATS, LONGEST = 4, 300  # of a pattern: matching one with many repeats may take for ever


@dataclass(frozen=True)
class PeftSettings:
    """Of one network's adapter; empty where the file has none."""

    values: Mapping[str, Any]

    @property
    def says_alpha(self) -> bool:
        """Whether every layer has an alpha, and so a scale."""
        return any(key in self.values for key in ("lora_alpha", "alpha", "alpha_pattern"))

    @property
    def uses_dora(self) -> bool:
        """Whether every layer has a magnitude."""
        return bool(self.values.get("use_dora"))

    def scale(self, layer: str, rank: int | None) -> float:
        """alpha / rank, or with rslora alpha / sqrt(rank). `rank` None: as the settings say.

        ValueError or TypeError where they cannot be read.
        """
        rank = rank or self._of(layer, "rank_pattern", self.values.get("r", 1))
        alpha = self._of(
            layer, "alpha_pattern", self.values.get("lora_alpha", self.values.get("alpha", rank))
        )
        return float(alpha) / (rank**0.5 if self.values.get("use_rslora") else float(rank))

    def _of(self, layer: str, key: str, otherwise: Any) -> Any:
        patterns = self.values.get(key) or {}
        return next((value for pattern, value in patterns.items() if _names(pattern, layer)), otherwise)


def _names(pattern: str, layer: str) -> bool:
    """As `peft.utils.other.get_pattern_key`: the end of a name from a dot on. ValueError where it might run for ever."""
    repeats = len(re.findall(r"(?<!\\)[*+{]", pattern))
    if len(pattern) > LONGEST or repeats > MOST_REPEATS or re.search(r"\)[*+{]|\\\d|\(\?P", pattern):
        raise ValueError(pattern)
    try:
        return re.match(rf"(.*\.)?({pattern})$", layer) is not None
    except re.error:
        raise ValueError(pattern) from None


def config_beside(path: Path) -> dict[str, Any]:
    """Of `adapter_config.json` beside a file, what the merge needs; empty where there is none or it is not peft's.

    ModelError where it asks for what is not merged.
    """
    beside = path.parent / CONFIG_NAME
    if path.name == "pytorch_lora_weights.safetensors" or not beside.is_file():
        return {}
    config = read_json(beside)
    if (kind := config.get("peft_type")) not in _KINDS:
        raise ModelError(f"{beside}: peft_type {kind!r} is not read; LORA, LOHA and LOKR are")
    _check(config, str(beside))
    return {key: config[key] for key in USED if config.get(key)}


def settings_of(file: TensorFile, network: str, name: str) -> PeftSettings:
    """What a file says for a network. ModelError where it is damaged, or asks for what is not merged."""
    key = PEFT_KEY if PEFT_KEY in file.metadata else _DIFFUSERS_KEY
    if key not in file.metadata:
        return PeftSettings({})
    start = "" if key == PEFT_KEY else f"{network}."
    try:
        written = json.loads(file.metadata[key])
        values = {k.removeprefix(start): v for k, v in written.items() if k.startswith(start)}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise ModelError(f"{name} has damaged settings ({key}); fetch it again") from None
    _check(values, name)
    return PeftSettings(values)


def _check(config: Mapping[str, Any], name: str) -> None:
    if key := next((key for key in config if key in REFUSED and config[key]), ""):
        raise ModelError(f"{name}: {key} is set, which is not merged; only LoRA, LoHa, LoKr and DoRA are")
    start = str(config.get("init_lora_weights", "")).lower()
    if start.startswith(CHANGES_MODEL):
        raise ModelError(
            f"{name}: init_lora_weights is {start!r}, which changed the model too; save it as a plain LoRA with peft "
            "(path_initial_model_for_weight_conversion)"
        )
    if unknown := unknown_keys(config, KEYS):
        raise ModelError(
            f"{name}: unknown setting {unknown[0]!r}{nearest(unknown[0], sorted(KEYS))}; delete it if it is a note"
        )
