"""peft's settings of an adapter: alpha and rank by layer. In its own `adapter_config.json`, or in a file's metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mezzotint.errors import ModelError
from mezzotint.models.disk.parts import read_json
from mezzotint.models.disk.tensors import TensorFile

CONFIG_NAME, WEIGHTS_NAME = "adapter_config.json", "adapter_model.safetensors"
PEFT_KEY = "mezzotint_adapter_config"
"""Where a kept file has what stood in `adapter_config.json` beside it."""

_DIFFUSERS_KEY = "lora_adapter_metadata"  # diffusers writes {"unet.lora_alpha": 8, ...} there
_KINDS = ("LORA", "LOHA", "LOKR")
_USED = ("peft_type", "r", "lora_alpha", "alpha", "alpha_pattern", "rank_pattern", "use_rslora", "use_dora")
# What changes the result and is not merged here. What is left out changes training alone, or shows in the tensors.
_REFUSED = (
    "fan_in_fan_out",
    "layer_replication",
    "lora_bias",
    "target_parameters",
    "trainable_token_indices",
    "use_qalora",
)
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
    return {key: config[key] for key in _USED if config.get(key)}


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
    if key := next((key for key in _REFUSED if config.get(key)), ""):
        raise ModelError(f"{name}: {key} is set, which is not merged; only LoRA, LoHa, LoKr and DoRA are")
