"""Writing LoRA files, as diffusers reads them (`load_lora_weights`) or as kohya's tools and the web interfaces do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ModelError
from mezzotint.files import put

Kind = Literal["diffusers", "kohya"]
Pair = tuple[Any, Any]  # A, B: arrays, or tensors on the CPU without a gradient

FILE_NAME = "pytorch_lora_weights.safetensors"
"""What `load_lora_weights` looks for in a folder."""


def save_lora(
    path: Path,
    layers: Mapping[str, Pair],
    alpha: float,
    kind: Kind = "diffusers",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write W + alpha/rank * B @ A of each layer to a safetensors file, whole or not at all, in float32.

    `layers`: by the model's own names, such as `unet.down_blocks.0.attentions.0.proj_in` (`unet.` may be left out)
    and `text_encoder.encoder.layers.0.self_attn.q_proj`, A (rank, cin) and B (cout, rank), of a convolution
    A (rank, cin, h, w) and B (cout, rank, 1, 1). `diffusers` has alpha/rank in B, so that every version reads it
    alike; `kohya` has alpha beside them. ModelError where A and B do not fit each other, OutputError where nothing
    can be written.
    """
    from safetensors.numpy import save

    tensors: dict[str, NDArray[np.float32]] = {}
    for name, (a, b) in layers.items():
        down, up = _check_pair(name, a, b)
        tensors |= (_diffusers if kind == "diffusers" else _kohya)(*_split_network(name), down, up, alpha)
    put(path, save(tensors, {"format": "pt", **(metadata or {})}), f"write {path}")


def peft_layers(state: Mapping[str, Any]) -> dict[str, Pair]:
    """The layers of what `peft.get_peft_model_state_dict` gives, as `save_lora` takes them."""
    layers = {}
    for name in state:
        if name.endswith(".lora_A.weight"):
            layer = name.removesuffix(".lora_A.weight")
            layers[layer.removeprefix("base_model.model.")] = state[name], state[f"{layer}.lora_B.weight"]
    return layers


def _check_pair(name: str, a: Any, b: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    down, up = (np.ascontiguousarray(value, np.float32) for value in (a, b))
    if down.ndim not in (2, 4) or up.ndim != down.ndim or up.shape[1] != len(down):
        raise ModelError(f"{name}: A {list(down.shape)} and B {list(up.shape)} are no LoRA of one layer")
    if not (np.isfinite(down).all() and np.isfinite(up).all()):
        raise ModelError(f"{name}: the LoRA holds NaN or infinity; training went wrong")
    return down, up


def _split_network(name: str) -> tuple[str, str]:
    """Network and layer. Files spell the text encoder's as transformers did while they came up."""
    if name.startswith("text_encoder."):
        layer = name.removeprefix("text_encoder.").removeprefix("text_model.")
        return "text_encoder", f"text_model.{layer}"
    return "unet", name.removeprefix("unet.")


def _diffusers(
    network: str, layer: str, down: NDArray[np.float32], up: NDArray[np.float32], alpha: float
) -> dict[str, NDArray[np.float32]]:
    scaled = up if alpha == len(down) else up * np.float32(alpha / len(down))
    return {f"{network}.{layer}.lora_A.weight": down, f"{network}.{layer}.lora_B.weight": scaled}


def _kohya(
    network: str, layer: str, down: NDArray[np.float32], up: NDArray[np.float32], alpha: float
) -> dict[str, NDArray[np.float32]]:
    prefix = "lora_te" if network == "text_encoder" else "lora_unet"
    name = f"{prefix}_{layer.replace('.', '_')}"
    return {
        f"{name}.lora_down.weight": down,
        f"{name}.lora_up.weight": up,
        f"{name}.alpha": np.array(alpha, np.float32),
    }
