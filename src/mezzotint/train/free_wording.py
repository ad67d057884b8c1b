"""The text encoder learns free wording: its states of what people type become those of the caption that means it.

The denoiser knows captions. So nothing of it changes: only the way from words to states does, and captions keep theirs.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn
from transformers import CLIPTextModel

from mezzotint.data.paraphrases import Pair, Paraphraser
from mezzotint.data.scenes import NUMBERS, PALETTE, CanonicalComposer
from mezzotint.data.words import ORDINARY, article_of
from mezzotint.errors import ModelError
from mezzotint.files import default_cache, write_atomic
from mezzotint.models.disk.bundle import Bundle
from mezzotint.models.disk.source import find
from mezzotint.models.networks import torch_text
from mezzotint.models.texts.tokenizer import ClipTokenizer
from mezzotint.train.config import Training
from mezzotint.train.image_tensors import text_image
from mezzotint.train.loop.loop import train
from mezzotint.train.texts import Teacher, phrase, whole_words

HELD = 0.1
"""Share of the words that are measured and never learned."""
SHORT = 12
"""Tokens of most batches. States depend on earlier tokens alone, so a short text trains the same positions."""


class FreeWordingConfig(Training):
    """`mezzotint train words CONFIG`."""

    model: str = "emoji"
    """Whose text encoder learns: a bundled name or a diffusers folder."""
    data: Path
    """Of `mezzotint data emoji`: the objects with their other names and tags."""
    batch: int = Field(48, gt=2)
    start: Path | None = None
    """A text encoder of this shape to begin with, in place of the model's own: its folder."""
    captions: float = Field(0.3, ge=0, le=1)
    """Share of a batch that are captions, which keep their states."""
    caption_weight: float = Field(4.0, gt=0)
    """How much their error weighs: the denoiser was trained on them."""
    phrases: float = Field(0.1, ge=0, le=1)
    """Share of a batch that are made-up phrases, which keep theirs too."""
    cosine: float = Field(0.62, gt=0, lt=1)
    """Words of a BERT mean an object where their sentence embeddings are at least so near."""
    words: int = Field(14_000, ge=0)
    """The commonest words of the BERT that are looked at."""


class FreeWordingTask:
    """Squared error of normalized states, on free wording towards its caption and on captions towards themselves."""

    def __init__(self, config: FreeWordingConfig):
        torch.manual_seed(config.seed)
        self.config = config
        bundle = find(config.model, default_cache())
        if not isinstance(bundle, Bundle):
            raise ModelError(f"{config.model} reads no text; free wording is for a text-to-image model")
        self.tokenizer = ClipTokenizer.of(bundle)
        self.frozen = torch_text(bundle.text_encoder).float().eval().requires_grad_(False)
        text = torch_text(bundle.text_encoder).float()
        if config.start:
            text.load_state_dict(CLIPTextModel.from_pretrained(config.start).float().state_dict())
        text.requires_grad_(True)
        text.get_input_embeddings().requires_grad_(False)
        self.module: nn.Module = text
        self.composer = CanonicalComposer(config.data)
        teacher = Teacher(default_cache())
        self.vocabulary = whole_words(teacher.vocab)
        words = self._words(teacher)
        learned, self.held = _split(words)
        self.source = Paraphraser(learned, ORDINARY, self.vocabulary[:4000])
        states = self._states(self.frozen, [article_of(name) for name in self.composer.names[::8]], SHORT)
        self.mean, self.std = states.mean((0, 1)), states.std((0, 1))

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """The mean squared error of normalized states; where a text is still being read it weighs a tenth."""
        config, rng = self.config, random.Random(f"free wording {self.config.seed} {step}")
        pairs = [self._pair(rng) for _ in range(config.batch)]
        length = SHORT if step % 8 else self.tokenizer.length
        ids, words = self._tokens([free for free, _ in pairs], length)
        with torch.no_grad():
            wanted = self.frozen(
                input_ids=self._tokens([said for _, said in pairs], length)[0]
            ).last_hidden_state
        found = module(input_ids=ids).last_hidden_state.float()
        error = ((found - wanted) / self.std).square().mean(-1)
        same = torch.tensor([free == said for free, said in pairs])
        unread = (torch.arange(length) < words[:, None]) & ~same[:, None]
        weights = torch.where(unread, 0.1, 1.0) * torch.where(same, config.caption_weight, 1.0)[:, None]
        numbers = {"caption_error": error[same].mean().item(), "free_error": error[~same].mean().item()}
        return (error * weights).sum() / weights.sum(), numbers

    @torch.no_grad()
    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """For words that it never learned: whether the nearest object is the one meant; how far captions moved."""
        names = self.composer.names
        captions = [article_of(name) for name in names]
        own, kept = self._states(module, captions, SHORT), self._states(self.frozen, captions, SHORT)
        held = [(word, name) for name, words in self.held.items() for word in words]
        found = self._states(module, [article_of(word) for word, _ in held], SHORT)
        nearest = [names[i] for i in torch.cdist(self._flat(found), self._flat(kept)).argmin(1).tolist()]
        right = [name == near for (_, name), near in zip(held, nearest, strict=True)]
        lines = [f"{word}: {near}" for (word, _), near in zip(held[::9], nearest[::9], strict=True)]
        numbers = {
            "held_right": sum(right) / max(len(right), 1),
            "caption_moved": ((own - kept) / self.std).square().mean().item(),
        }
        return text_image(lines[:40]), numbers

    def save(self, module: nn.Module, folder: Path) -> None:
        """The text encoder, as the model's folder holds it."""
        half: Any = copy.deepcopy(module).half()
        half.save_pretrained(folder / "text_encoder")

    def _words(self, teacher: Teacher) -> dict[str, list[str]]:
        """The words of each object, kept in the run's folder, as finding them takes minutes."""
        file = self.config.out / "words.json"
        if not file.exists():
            common = self.vocabulary[: self.config.words]
            words = words_of_objects(self.composer, teacher, common, self.config.cosine)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(file, json.dumps(words, ensure_ascii=False).encode())
        found: dict[str, list[str]] = json.loads(file.read_text())
        return found

    def _pair(self, rng: random.Random) -> Pair:
        dice = rng.random()
        if dice < self.config.captions:
            kind = rng.choice(("plain", "plain", "color", "place", "count", "pair", "scenery", "styled"))
            name = rng.choice(
                self.composer.names if kind in ("plain", "color", "styled") else self.source.ordinary
            )
            text = self.composer.scene(kind, name, rng).caption  # type: ignore[arg-type]
            return text, text
        if dice < self.config.captions + self.config.phrases:
            text = phrase(self.composer.names, self.vocabulary, rng)
            return text, text
        return self.source.pair(rng)

    def _states(self, module: nn.Module, texts: Sequence[str], length: int) -> Tensor:
        parts = [self._tokens(texts[i : i + 64], length)[0] for i in range(0, len(texts), 64)]
        with torch.no_grad():
            return torch.cat([module(input_ids=ids).last_hidden_state.float() for ids in parts])

    def _flat(self, states: Tensor) -> Tensor:
        """Normalized states (n, length * width) of the positions after a short text."""
        return ((states[:, 8:] - self.mean) / self.std).flatten(1)

    def _tokens(self, texts: Sequence[str], length: int) -> tuple[Tensor, Tensor]:
        """Ids (n, length), and how many of them say the text, the first one included (n,)."""
        ids = torch.cat([torch.from_numpy(self.tokenizer.encode(text)[0]) for text in texts])
        said = (ids != ids[0, -1]).sum(1)
        return ids[:, :length], said


def words_of_objects(
    composer: CanonicalComposer, teacher: Teacher, words: Sequence[str], cosine: float
) -> dict[str, list[str]]:
    """For each object the words that mean it: its other names, its own tags, and words that a BERT finds near.

    A word belongs to one object, the nearest. Ordinary objects are preferred by a little, as people mean them.
    """
    names = composer.names
    calls: dict[str, list[str]] = {name: [] for name in names}
    taken = {name.lower() for name in names}
    rows = {name: composer.rows[composer.usual(name)] for name in names}
    table = torch.stack([teacher.embed([name, *rows[name]["aliases"]]).mean(0) for name in names])
    table = torch.nn.functional.normalize(table, dim=-1)
    bonus = torch.tensor([0.06 if name in ORDINARY else 0.0 for name in names])
    tags = {tag for row in rows.values() for tag in (*row["aliases"], *row["tags"])}
    texts = sorted({*tags, *words} - taken - {*PALETTE, *NUMBERS.values()})
    for start in range(0, len(texts), 256):
        part = texts[start : start + 256]
        near = teacher.embed(part) @ table.T
        best = (near + bonus).argmax(1)
        for word, index, value in zip(
            part, best.tolist(), near.gather(1, best[:, None])[:, 0].tolist(), strict=True
        ):
            own = word in rows[names[index]]["aliases"] or word in rows[names[index]]["tags"]
            if value >= (cosine - 0.15 if own else cosine):
                calls[names[index]].append(word)
    return calls


def _split(calls: Mapping[str, Sequence[str]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Words to learn and words that are held out, by object."""
    rng = random.Random("held-out words")
    learned: dict[str, list[str]] = {name: [] for name in calls}
    held: dict[str, list[str]] = {}
    for name, words in calls.items():
        for word in words:
            (held.setdefault(name, []) if rng.random() < HELD else learned[name]).append(word)
    return learned, held


def train_free_wording(config: FreeWordingConfig) -> None:
    """Train the text encoder that a configuration describes."""
    train(FreeWordingTask(config), config.loop, config.out)
