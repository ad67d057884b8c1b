"""What a file of weights is, told by the names of its tensors: for messages where it is not what was meant."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mezzotint.models.disk.tensors import Tensor

EMBEDDING_KEYS = ("emb_params", "clip_l", "clip_g", "clip_h")

LORA = "a LoRA"

_KINDS = {  # the first that finds a name
    r"(model\.diffusion_model|cond_stage_model|conditioner\.embedders)\.": "a whole model (give it with --model)",
    r"control_model\.|controlnet_|lora_controlnet|input_hint_block\.|.*zero_conv": "a ControlNet",
    r"image_proj\.|ip_adapter\.": "an IP-Adapter",
    r".*motion_modules\.": "a motion module of AnimateDiff",
    r"adapter\.body\.|body\.\d+\.": "a T2I-Adapter",
    r"(lora_transformer_|lora_unet_|(diffusion_model\.|transformer\.)?)(double_blocks|single_blocks"
    r"|single_transformer_blocks)[_.]": "a LoRA of Flux",
    r"(lora_unet_|diffusion_model\.)joint_blocks[_.]|transformer\.transformer_blocks\.": "a LoRA of Stable Diffusion 3",
    r"lora_te2_|(base_model\.model\.)?text_encoder_2\.": "a LoRA of Stable Diffusion XL",
    r"(lora_unet_|unet\.|base_model\.model\.|diffusion_model\.)*"
    r"(down_blocks|input_blocks|up_blocks|output_blocks|mid_block|middle_block)"
    r"[_.].*transformer_blocks[_.][1-9]": "a LoRA of Stable Diffusion XL",
    r".*\.(a1|a2|b1|b2)\.weight": "a GLoRA",
    r".*\.(oft_blocks|oft_diag|oft_R)": "an OFT adapter",
    r".*\.on_input": "an (IA)3 adapter",
    r"(first_stage_model|decoder|encoder)\.(conv_in|down|up|mid)": "an autoencoder (VAE)",
    r"(down_blocks|up_blocks|mid_block|conv_in|time_embedding)\.(?!.*lora).*weight": "the weights of a denoiser",
    r"text_model\.(?!.*lora).*\.(weight|bias)": "the weights of a text encoder",
    r".*[._](lora[_.]|hada_|lokr_)": LORA,
}


def kind_of(tensors: Mapping[str, Tensor]) -> str:
    """Such as "a ControlNet"; "" where it is none that is known."""
    if tensors and (
        set(tensors) <= set(EMBEDDING_KEYS) or (len(tensors) == 1 and _is_word(*tensors.items()))
    ):
        return "a textual inversion (give it with --word)"
    for pattern, kind in _KINDS.items():
        if any(re.match(pattern, name) for name in tensors):
            return kind
    return ""


def _is_word(named: tuple[str, Tensor]) -> bool:
    name, tensor = named
    return "." not in name and len(tensor.shape) in (1, 2)
