"""The networks as torch modules, with every weight checked by name, shape and value."""

from __future__ import annotations

from typing import Any

import numpy as np

from mezzotint.models.disk.parts import NetworkFiles
from mezzotint.models.disk.weights import Weights, is_positions


def torch_unet(part: NetworkFiles) -> Any:
    """The denoiser, a diffusers UNet2DConditionModel in float32 on the CPU, in eval mode."""
    return _of_diffusers(part, "UNet2DConditionModel")


def torch_pixel_unet(part: NetworkFiles) -> Any:
    """The denoiser of a pixel model, a diffusers UNet2DModel in float32 on the CPU, in eval mode."""
    return _of_diffusers(part, "UNet2DModel")


def torch_vae(part: NetworkFiles) -> Any:
    """The autoencoder, a diffusers AutoencoderKL in float32 on the CPU, in eval mode."""
    return _of_diffusers(part, "AutoencoderKL")


def torch_vq(part: NetworkFiles) -> Any:
    """The autoencoder with a codebook, a diffusers VQModel in float32 on the CPU, in eval mode."""
    return _of_diffusers(part, "VQModel")


def torch_text(part: NetworkFiles) -> Any:
    """The text encoder, a transformers CLIPTextModel in float32 on the CPU, in eval mode."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return _build_module(part, lambda: CLIPTextModel(CLIPTextConfig(**_text_config(part))))


def _text_config(part: NetworkFiles) -> dict[str, Any]:
    """The config's numbers: `architectures`, `dtype` and the like are not asked for and not believed."""
    return {k: v for k, v in part.config.items() if isinstance(v, int | float) or k == "hidden_act"}


def _of_diffusers(part: NetworkFiles, kind: str) -> Any:
    import diffusers

    build = getattr(diffusers, kind).from_config
    return _build_module(part, lambda: build(dict(part.config)))


def _build_module(part: NetworkFiles, build: Any) -> Any:
    """The module that `build` makes, with the stored weights in place of its random ones."""
    import torch

    weights = part.weights()
    with torch.device("meta"):  # a hostile config costs nothing before its shapes are compared
        module = build()
    prefix = "text_model." if any(name.startswith("text_model.") for name in module.state_dict()) else ""
    values = stored_state(module, weights, prefix)
    weights.finish(is_positions)
    module.load_state_dict(values, assign=True)
    for name, buffer in list(module.named_buffers()):
        if buffer.is_meta:  # the position numbers of CLIP, which are not stored
            owner, _, leaf = name.rpartition(".")
            module.get_submodule(owner).register_buffer(
                leaf, torch.arange(buffer.shape[-1])[None], persistent=False
            )
    return module.eval().requires_grad_(False)


def stored_state(module: Any, weights: Weights, prefix: str = "") -> dict[str, Any]:
    """What a module's `load_state_dict` takes, in float32, of weights that are stored without the prefix."""
    import torch

    return {
        name: torch.from_numpy(
            np.array(weights.take(name.removeprefix(prefix), tuple(tensor.shape)), np.float32)
        )
        for name, tensor in module.state_dict().items()
    }
