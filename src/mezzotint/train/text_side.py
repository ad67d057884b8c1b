"""The text side of every task: a tokenizer, the teacher, and token embeddings that start as the teacher's."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTokenizer

from mezzotint.data.compose import Composer
from mezzotint.train.clip_config import ClipConfig
from mezzotint.train.teacher import Teacher
from mezzotint.train.texts import texts
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
