"""A text tower distilled from a BERT: its pooled state predicts the sentence embedding."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextModel

from mezzotint.train.clip_config import ClipConfig
from mezzotint.train.sheets import text_image
from mezzotint.train.text_side import Words

FREE_WORDS = (
    "kitten", "puppy", "a sports automobile", "sunset above the sea", "spaceship", "a dancer", "neon city at night", "bunny",
    "red flower", "big ship on the ocean", "king", "a hot drink", "angry person", "a medieval fortress", "winter", "music",
    "Cleopatra", "glowing crystal", "jungle animal", "a place to sleep", "computer", "love", "breakfast", "doctor",
)  # fmt: skip


FIXED = 512
"""Texts of a sheet, by which all sheets of a run are measured."""


class _TextHead(nn.Module):
    def __init__(self, text: CLIPTextModel, dim: int):
        super().__init__()
        self.text = text
        self.head = nn.Linear(text.config.hidden_size, dim, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        return F.normalize(self.head(self.text(input_ids=ids).pooler_output).float(), dim=-1)


class TextTask(Words):
    """The text tower alone: its pooled state predicts the sentence embedding of the teacher."""

    def __init__(self, config: ClipConfig):
        super().__init__(config)
        self.text = CLIPTextModel(self.text_config())
        self.borrow_words(self.text.get_input_embeddings())
        self.module: nn.Module = _TextHead(self.text, 384)
        rng = random.Random("text sheet")
        self.fixed = [self.source(rng) for _ in range(FIXED)]
        self.fixed_target = self.teacher.embed(self.fixed)

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """Cosine distance, and telling the texts of the batch apart as the teacher does."""
        rng = random.Random(f"text {self.config.seed} {step}")
        batch = [self.source(rng) for _ in range(self.config.batch)]
        target, found = self.teacher.embed(batch), module(self.tokens(batch))
        distance = 1 - (found * target).sum(-1).mean()
        apart = F.cross_entropy(found @ target.T / 0.05, torch.arange(len(batch)))
        return distance + 0.2 * apart, {"cosine": 1 - distance.item(), "apart": apart.item()}

    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """Cosine to the teacher on fixed texts; nearest captions of free words, as a picture of text."""
        found = module(self.tokens(self.fixed))
        cosine = (found * self.fixed_target).sum(-1).mean().item()
        labels = self.composer.objects
        table = torch.cat([module(self.tokens(labels[i : i + 256])) for i in range(0, len(labels), 256)])
        lines = []
        for word in FREE_WORDS:
            best = (table @ module(self.tokens([word]))[0]).topk(4).indices.tolist()
            lines.append(f"{word}: " + ", ".join(labels[i] for i in best))
        return text_image(lines), {"cosine": cosine}

    def save(self, module: nn.Module, folder: Path) -> None:
        """`text_encoder/` and `tokenizer/` of a diffusers folder."""
        self.text.save_pretrained(folder / "text_encoder")
        self.save_tokenizer(folder / "tokenizer")
