"""LoRA (2106.09685): low-rank weights beside those of a UNet, which alone learn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mezzotint.errors import ConfigError, nearest
from mezzotint.models.lora.write import FILE_NAME, peft_layers, save_lora
from mezzotint.train.finetune.config import FinetuneConfig


def add_lora(unet: Any, config: FinetuneConfig) -> nn.Module:
    """The UNet with LoRA on the layers that are asked for, which alone learns; at first it changes nothing."""
    from peft import LoraConfig

    check_targets(config.lora_targets, unet)
    torch.manual_seed(config.seed)
    unet.requires_grad_(False)
    beside = LoraConfig(
        r=config.lora,
        lora_alpha=config.lora,
        init_lora_weights="gaussian",
        target_modules=list(config.lora_targets),
    )
    unet.add_adapter(beside)
    made: nn.Module = unet
    return made


@contextmanager
def without_lora(module: nn.Module) -> Iterator[None]:
    """While this lasts, the module is what it was before it learned, and makes no gradients."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = [layer for layer in module.modules() if isinstance(layer, BaseTunerLayer)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        with torch.no_grad():
            yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


def check_targets(wanted: Sequence[str], unet: nn.Module) -> None:
    """ConfigError where a name is the end of no layer's."""
    layers = [name for name, layer in unet.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    for target in wanted:
        if not any(name == target or name.endswith(f".{target}") for name in layers):
            parts = [name.split(".") for name in layers]
            known = sorted({".".join(p[-2:]) if p[-1].isdigit() else p[-1] for p in parts})
            hint = nearest(target, known)
            raise ConfigError(
                f"lora_targets: no layer's name ends in {target!r}; known: {', '.join(known)}{hint}"
            )


def write_lora(module: nn.Module, folder: Path, config: FinetuneConfig) -> None:
    """As diffusers and as kohya's tools read it."""
    from peft import get_peft_model_state_dict

    state = {name: value.detach().float().cpu() for name, value in get_peft_model_state_dict(module).items()}
    layers, facts = peft_layers(state), {"base_model": config.model}
    save_lora(folder / FILE_NAME, layers, config.lora, "diffusers", facts)
    save_lora(folder / "kohya.safetensors", layers, config.lora, "kohya", facts)
