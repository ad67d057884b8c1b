"""The text side of an image-text pair: a tokenizer, and a text tower distilled from a BERT."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from mezzotint.data.compose import Composer
from mezzotint.train.clip import ClipConfig
from mezzotint.train.image_tensors import text_image
from mezzotint.train.texts import Teacher, texts
from mezzotint.train.vocabulary import LENGTH, build_tokenizer

CAPTIONS = 20_000
"""How many the tokenizer learns its words from."""


class Words:
    """What both tasks share: pictures, the tokenizer, the teacher, token embeddings that start as the teacher's."""

    def __init__(self, config: ClipConfig):
        torch.manual_seed(config.seed)
        self.config = config
        self.composer = Composer(config.data, ordinary=config.ordinary)
        self.teacher = Teacher(config.cache)
        words = self.teacher.words()
        self.source = texts(self.composer, words)
        folder = config.tokenizer or config.out / "tokenizer"
        if not (folder / "vocab.json").exists():
            rng = random.Random(f"tokenizer {config.seed}")
            captions = [self.composer.scene(rng).caption for _ in range(CAPTIONS)]
            captions += [tag for row in self.composer.rows for tag in row["tags"]]
            build_tokenizer(captions, words, config.vocabulary, folder)
        self.folder = folder
        self.tokenizer = CLIPTokenizer.from_pretrained(folder)

    def text_config(self) -> CLIPTextConfig:
        tower, size = self.config.text, len(self.tokenizer)
        return CLIPTextConfig(
            vocab_size=size, hidden_size=tower.width, intermediate_size=tower.intermediate, projection_dim=self.config.dim,
            num_hidden_layers=tower.layers, num_attention_heads=tower.heads, max_position_embeddings=LENGTH,
            bos_token_id=size - 2, eos_token_id=size - 1, pad_token_id=size - 1,
        )  # fmt: skip

    @torch.no_grad()
    def borrow_words(self, embedding: nn.Embedding) -> None:
        """Fix the token embeddings at the teacher's (their leading directions, where narrower), so that unseen words work."""
        tokens = self.tokenizer.convert_ids_to_tokens(list(range(len(self.tokenizer) - 2)))
        rows = torch.stack(
            [self.teacher.piece(t.removesuffix("</w>"), t.endswith("</w>")) for t in tokens]
        ).float()
        rows = rows - rows.mean(0)
        width = embedding.embedding_dim
        if width < rows.shape[1]:
            _, _, v = torch.linalg.svd(rows, full_matrices=False)
            rows = rows @ v[:width].T
        embedding.weight[:-2] = rows * (0.03 / rows.std())
        embedding.weight.requires_grad_(False)

    def tokens(self, captions: list[str]) -> Tensor:
        """(n, longest) token ids."""
        found = self.tokenizer(
            captions, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt"
        )
        return found["input_ids"]  # type: ignore[no-any-return]

    def save_tokenizer(self, folder: Path) -> None:
        """The tokenizer in the files that every reader of the format knows."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json"):
            shutil.copy(self.folder / name, folder / name)


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
