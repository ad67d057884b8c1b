"""Stable Diffusion v1-4's architecture with random weights, and CLIP ViT-B/32's: what things cost where no hub is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from mezzotint.models.bundled import BUNDLED


def write_random_model(folder: Path) -> tuple[str, str]:
    """Folders of the model and of the pair, float16 on disk (2.3 GB), made once."""
    model, pair = folder / "sd-v1-4-random", folder / "clip-vit-b-32-random"
    if not (model / "model_index.json").is_file():
        _model(model)
    if not (pair / "config.json").is_file():
        _pair(pair)
    return str(model), str(pair)


def _model(folder: Path) -> None:
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(BUNDLED["emoji"].path / "tokenizer")
    words: dict[str, Any] = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
    text = CLIPTextConfig(vocab_size=len(tokenizer), num_hidden_layers=12, **words)
    unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, sample_size=512,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip
    pipe = StableDiffusionPipeline(
        vae=vae, text_encoder=CLIPTextModel(text), tokenizer=tokenizer, unet=unet, scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipe.to(dtype=torch.float16).save_pretrained(folder)
    shutil.copytree(BUNDLED["emoji"].path / "tokenizer", folder / "tokenizer", dirs_exist_ok=True)


def _pair(folder: Path) -> None:
    import json

    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(BUNDLED["emoji"].path / "tokenizer")
    config = CLIPConfig(
        text_config={"vocab_size": len(tokenizer)}, vision_config={"patch_size": 32, "image_size": 224}
    )
    CLIPModel(config).half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    pixels = {
        "size": {"height": 224, "width": 224},
        "image_mean": [0.481, 0.458, 0.408],
        "image_std": [0.269, 0.261, 0.276],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(pixels))
