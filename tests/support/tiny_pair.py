"""A tiny image-text pair with random weights, saved by transformers itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPConfig, CLIPModel

from support import tiny

MEAN, STD = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]


def make_pair(folder: Path, act: str = "quick_gelu", size: int = 16, seed: int = 0) -> Any:
    """Write a CLIPModel to `folder` and return it, in eval mode, without gradients of its weights."""
    torch.manual_seed(seed)
    tokenizer = tiny.make_tokenizer(folder)
    small = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {
        **small,
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    vision = {**small, "image_size": size, "patch_size": 8, "hidden_act": act}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_((0.2 if weight.ndim > 1 else 0.1) * torch.randn_like(weight))
    model.requires_grad_(False).save_pretrained(folder)
    facts = {"size": {"height": size, "width": size}, "image_mean": MEAN, "image_std": STD}
    (folder / "preprocessor_config.json").write_text(json.dumps(facts))
    return model


def features(model: Any, pictures: torch.Tensor) -> torch.Tensor:
    """(n, d) of pictures in 0..1, as transformers computes them."""
    mean, std = (pictures.new_tensor(v)[:, None, None] for v in (MEAN, STD))
    found = model.get_image_features(pixel_values=(pictures - mean) / std)
    values: torch.Tensor = getattr(found, "pooler_output", found)
    return values
