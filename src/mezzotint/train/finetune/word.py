"""Textual inversion (2208.01618): one new word, whose embedding alone is learned; every network stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mezzotint.errors import ConfigError
from mezzotint.models.disk.bundle import Bundle
from mezzotint.models.networks import torch_text, torch_unet
from mezzotint.models.texts.extended_embedding import ExtendedEmbedding
from mezzotint.models.texts.inversion import FILE_NAME
from mezzotint.models.texts.tokenizer import ClipTokenizer
from mezzotint.prompt import Piece
from mezzotint.train.finetune.config import FinetuneConfig
from mezzotint.train.finetune.task import device_of


class WordEmbedding(nn.Module):
    """From noised latents and token ids to the UNet's output; its one weight is the word's embedding.

    The frozen networks are held in a tuple, so that no checkpoint carries them.
    """

    def __init__(self, unet: Any, text: Any, start: Tensor):
        super().__init__()
        self.vector = nn.Parameter(start.clone())  # (width,)
        text.set_input_embeddings(ExtendedEmbedding(text.get_input_embeddings(), lambda: self.vector[None]))
        self._frozen = (unet, text)
        self._there: torch.device | None = None

    def enable_gradient_checkpointing(self) -> None:
        """Of the UNet, whose activations are most of what is kept."""
        self._frozen[0].enable_gradient_checkpointing()

    def forward(self, x: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        """(n, c, h, w)."""
        unet, text = self._frozen
        if self._there != x.device:
            self._frozen, self._there = (unet.to(x.device), text.to(x.device)), x.device
        out: Tensor = unet(x, t, encoder_hidden_states=text(input_ids=ids).last_hidden_state).sample
        return out


class WordLearner:
    """A new word; with a picture go the token ids of its caption, in which the word stands."""

    def __init__(self, config: FinetuneConfig, bundle: Bundle):
        self.config = config
        tokenizer, text = ClipTokenizer.of(bundle), torch_text(bundle.text_encoder)
        table = text.get_input_embeddings().weight
        start = beginning(tokenizer, table, config.word_from)
        self._tokenizer = tokenizer.with_words({config.new_word: 1}, len(table))
        self.module: nn.Module = WordEmbedding(torch_unet(bundle.unet), text, start)

    def condition(self, words: Sequence[str]) -> Tensor:
        """(n, length)."""
        return torch.cat([torch.from_numpy(self._tokenizer.encode(text)[0]) for text in words])

    def ask(self, module: nn.Module, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """The UNet's output."""
        device = device_of(module)
        out: Tensor = module(x.to(device), t.to(device), condition.to(device))
        return out

    def save(self, module: nn.Module, run: Path) -> None:
        """As `load_textual_inversion` of diffusers reads it: a vector under the word's name."""
        (run / "word").mkdir(parents=True, exist_ok=True)
        vector = next(module.parameters()).detach().float().cpu().clone()
        save_file({self.config.new_word: vector[None]}, run / "word" / FILE_NAME)


def beginning(tokenizer: ClipTokenizer, table: Tensor, word: str) -> Tensor:
    """(width,) the mean of a known word's embeddings; without one, of them all. ConfigError where it has no tokens."""
    if not word:
        return table.mean(0)
    tokens = tokenizer.encode_pieces([Piece(word)])
    ids = tokens.ids[0, 1 : tokens.words - 1]
    if not len(ids):
        raise ConfigError(f"word_from {word!r} has no tokens; name a word")
    return table[torch.from_numpy(ids)].mean(0)
