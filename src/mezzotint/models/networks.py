"""The networks as torch modules, with every weight checked by name, shape and value."""

from __future__ import annotations

from typing import Any

import numpy as np

from mezzotint.models.disk.parts import Part
from mezzotint.models.disk.weights import Weights


def torch_unet(part: Part) -> Any:
    """The denoiser, a diffusers UNet2DConditionModel in float32 on the CPU, in eval mode."""
    from diffusers import UNet2DConditionModel

    build: Any = UNet2DConditionModel.from_config
    return _filled(part, lambda: build(dict(part.config)))


def torch_pixel_unet(part: Part) -> Any:
    """The denoiser of a pixel model, a diffusers UNet2DModel in float32 on the CPU, in eval mode."""
    from diffusers import UNet2DModel

    build: Any = UNet2DModel.from_config
    return _filled(part, lambda: build(dict(part.config)))


def torch_vae(part: Part) -> Any:
    """The autoencoder, a diffusers AutoencoderKL in float32 on the CPU, in eval mode."""
    from diffusers import AutoencoderKL

    build: Any = AutoencoderKL.from_config
    return _filled(part, lambda: build(dict(part.config)))


def torch_vq(part: Part) -> Any:
    """The autoencoder with a codebook, a diffusers VQModel in float32 on the CPU, in eval mode."""
    from diffusers import VQModel

    build: Any = VQModel.from_config
    return _filled(part, lambda: build(dict(part.config)))


def torch_text(part: Part) -> Any:
    """The text encoder, a transformers CLIPTextModel in float32 on the CPU, in eval mode."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return _filled(part, lambda: CLIPTextModel(CLIPTextConfig(**_text_config(part))))


def _text_config(part: Part) -> dict[str, Any]:
    """The config's numbers: `architectures`, `dtype` and the like are not asked for and not believed."""
    return {k: v for k, v in part.config.items() if isinstance(v, int | float) or k == "hidden_act"}


def _filled(part: Part, build: Any) -> Any:
    """The module that `build` makes, with the stored weights in place of its random ones."""
    import torch

    weights = part.weights()
    with torch.device("meta"):  # a hostile config costs nothing before its shapes are compared
        module = build()
    prefix = "text_model." if any(name.startswith("text_model.") for name in module.state_dict()) else ""
    values = {
        name: torch.from_numpy(
            np.array(weights.take(name.removeprefix(prefix), tuple(told.shape)), np.float32)
        )
        for name, told in module.state_dict().items()
    }
    finish(part, weights)
    module.load_state_dict(values, assign=True)
    for name, buffer in list(module.named_buffers()):
        if buffer.is_meta:  # the position numbers of CLIP, which are not stored
            owner, _, leaf = name.rpartition(".")
            module.get_submodule(owner).register_buffer(
                leaf, torch.arange(buffer.shape[-1])[None], persistent=False
            )
    return module.eval().requires_grad_(False)


def finish(part: Part, weights: Weights) -> None:
    """No weight may be left over, but for position numbers, which old text encoders stored."""
    weights.finish(lambda name: name.endswith("position_ids"))
