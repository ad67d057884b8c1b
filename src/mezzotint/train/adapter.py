"""The map from BERT's states to a model's own text states: squared error on captions and free phrases."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from mezzotint.errors import ConfigError, DataError, ModelError
from mezzotint.files import default_cache
from mezzotint.models.disk.bundle import Bundle
from mezzotint.models.disk.source import find
from mezzotint.models.networks import torch_text
from mezzotint.models.texts.adapter import BertAdapter
from mezzotint.models.texts.bert import MINILM, MINILM_WIDTH, Bert
from mezzotint.models.texts.tokenizer import ClipTokenizer
from mezzotint.prompt import Piece
from mezzotint.train.config import Training
from mezzotint.train.image_tensors import text_image
from mezzotint.train.loop.loop import train
from mezzotint.train.loop.precision import autocast_beside
from mezzotint.train.texts import phrase, whole_words

HELD = 256
"""Captions that are measured and never learned."""


class AdapterConfig(Training):
    """`mezzotint train adapter CONFIG`."""

    model: str = "emoji"
    """Whose text states are learned: a bundled name, a diffusers folder or a hub id."""
    captions: tuple[Path, ...] = Field(min_length=1)
    """Files and folders: shards `*-captions.json`, `metadata.jsonl` of a picture folder, texts with a line each."""
    width: int = Field(384, gt=0)
    layers: int = Field(2, gt=0)
    heads: int = Field(6, gt=0)
    batch: int = Field(32, gt=2)
    phrases: float = Field(0.3, ge=0, lt=1)
    """Share of made-up phrases over BERT's words, so that the map is not of captions alone."""


class AdapterTask:
    """Learn own states from BERT's, each feature normalized; every batch has the empty text in it."""

    def __init__(self, config: AdapterConfig):
        if config.width % config.heads:
            raise ConfigError(f"width {config.width} is not a multiple of heads {config.heads}")
        torch.manual_seed(config.seed)
        self.config = config
        bundle = find(config.model, default_cache())
        if not isinstance(bundle, Bundle):
            raise ModelError(f"{config.model} reads no text; an adapter is for a text-to-image model")
        self.text = torch_text(bundle.text_encoder)
        self.tokenizer = ClipTokenizer.of(bundle)
        self.bert = Bert.open(MINILM, MINILM_WIDTH, default_cache())
        self.words = whole_words(self.bert.vocabulary)
        self.captions, self.held = _split(read_captions(config.captions), config.seed)
        own = bundle.architectures()[2]
        self.adapter = BertAdapter(
            MINILM_WIDTH, own.width, own.length, config.width, config.layers, config.heads
        )
        self.module: nn.Module = self.adapter
        usual = self._own(self._texts(random.Random(f"adapter mean {config.seed}"), 256)).flatten(0, 1)
        self.adapter.mean.copy_(usual.mean(0))
        self.adapter.std.copy_(usual.std(0))
        self._kept = self._targets(["", *self.held])

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """The mean squared error of normalized states."""
        rng = random.Random(f"adapter {self.config.seed} {step}")
        states, mask, own = self._targets(["", *self._texts(rng, self.config.batch - 1)])
        error = F.mse_loss(module(states, mask).float(), self.adapter.normalize(own))
        return error, {}

    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """Held-out captions from the best to the worst; error of normalized states, cosines before and after."""
        states, mask, own = self._kept
        out = module(states, mask).float()
        target = self.adapter.normalize(own)
        errors = (out - target).square().mean((1, 2))
        order = sorted(range(len(self.held)), key=lambda i: float(errors[i + 1]))
        lines = [f"{errors[i + 1]:.3f}  {self.held[i]}" for i in order[:: max(1, len(order) // 30)]]
        numbers = {
            "error": errors[1:].mean().item(),
            "empty_error": errors[0].item(),
            "cosine": F.cosine_similarity(self.adapter.denormalize(out), own, dim=-1)[1:].mean().item(),
            "centered_cosine": F.cosine_similarity(out, target, dim=-1)[1:].mean().item(),
        }
        return text_image(lines), numbers

    def save(self, module: nn.Module, folder: Path) -> None:
        """What belongs into the model's folder as `adapter_bert/`."""
        self.adapter.save(folder)

    def _texts(self, rng: random.Random, count: int) -> list[str]:
        return [
            phrase(self.captions, self.words, rng)
            if rng.random() < self.config.phrases
            else rng.choice(self.captions)
            for _ in range(count)
        ]

    def _targets(self, texts: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        """BERT's states (n, length, 384), which of them are words (n, length), own states (n, length, width)."""
        return *self._read(texts), self._own(texts)

    @torch.no_grad()
    def _read(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """BERT runs on the words alone: its padding is not looked at."""
        length = self.tokenizer.length
        tokens = [self.bert.tokens([Piece(text)], length) for text in texts]
        ids = torch.cat([torch.from_numpy(t.ids) for t in tokens])
        mask = torch.arange(length) < torch.tensor([[t.words] for t in tokens])
        longest = int(mask.sum(1).max())
        with autocast_beside(self.config.loop):
            found = self.bert.module(input_ids=ids[:, :longest], attention_mask=mask[:, :longest].long())
        return F.pad(found.last_hidden_state.float(), (0, 0, 0, length - longest)), mask

    @torch.no_grad()
    def _own(self, texts: list[str]) -> Tensor:
        ids = torch.cat([torch.from_numpy(self.tokenizer.encode(text)[0]) for text in texts])
        with autocast_beside(self.config.loop):
            return self.text(input_ids=ids).last_hidden_state.float()  # type: ignore[no-any-return]


def read_captions(paths: Iterable[Path]) -> list[str]:
    """Every caption of these files and folders once, sorted. DataError where one holds none."""
    found: set[str] = set()
    for path in paths:
        captions = {text.strip() for file in _files(path) for text in _read_file(file)} - {""}
        if not captions:
            raise DataError(
                f"no captions in {path}; name *-captions.json, metadata.jsonl or a text with a line each"
            )
        found |= captions
    return sorted(found)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [*sorted(path.glob("*-captions.json")), *path.glob("metadata.jsonl")]


def _read_file(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return [str(caption) for caption in json.loads(text)]
        if path.suffix == ".jsonl":
            return [str(caption) for line in text.splitlines() for caption in _of_row(json.loads(line))]
        return text.splitlines()
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"cannot read captions from {path}: {error}") from error


def _of_row(row: dict[str, Any]) -> list[str]:
    """The captions of a picture: a list, or one `text` as the imagefolder format has it."""
    return list(row.get("captions") or [row["text"]] if "text" in row or "captions" in row else [])


def _split(captions: list[str], seed: int) -> tuple[list[str], list[str]]:
    """Most to learn from, and some (256, at most a tenth) held out."""
    shuffled = random.Random(f"held {seed}").sample(captions, len(captions))
    held = max(1, min(HELD, len(captions) // 10))
    if len(captions) < 2:
        raise DataError("an adapter needs two captions at least, and learns from thousands")
    return shuffled[held:], shuffled[:held]


def train_adapter(config: AdapterConfig) -> None:
    """Train the adapter that a configuration describes."""
    train(AdapterTask(config), config.loop, config.out)
