"""Words to learn from: a real BERT (MiniLM-L6, Apache-2.0), captions of scenes, and made-up phrases."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from mezzotint.data.compose import Composer
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


PHRASES = (
    "{0}", "a {0}", "the {0}", "{0} {1}", "a {0} {1}", "{0} and {1}", "a {0} with a {1}", "{0} of {1}", "a {0} on the {1}",
    "a {0} in the {1}", "a picture of a {0}", "a {0} {1}, {2}", "a {0} under the {1}", "{0} {1} {2}", "a painting of {0} and {1}",
)  # fmt: skip
SCENES = (
    "a {0} on a {1} background", "{0} in {1} style", "a {0} next to a {1}", "two {0}s", "three {0}s",
    "a beautiful {0} above the {1}", "a {0} at night", "a {0} on the moon",
)  # fmt: skip


def caption(composer: Composer, rng: random.Random) -> str:
    """The caption of a scene."""
    return composer.scene(rng).caption


def phrase(names: Sequence[str], words: Sequence[str], rng: random.Random) -> str:
    """A made-up phrase: common words are likelier, and names of objects take part."""

    def word() -> str:
        return rng.choice(names) if rng.random() < 0.4 else words[int(len(words) * rng.random() ** 2)]

    return rng.choice(PHRASES if rng.random() < 0.6 else SCENES).format(word(), word(), word())


def texts(composer: Composer, words: Sequence[str]) -> Callable[[random.Random], str]:
    """A source of texts: captions and phrases, half and half."""
    names = [name for row in composer.rows for name in (row["object"], *row["aliases"], *row["tags"])]
    return lambda rng: caption(composer, rng) if rng.random() < 0.5 else phrase(names, words, rng)
