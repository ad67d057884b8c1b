"""The style probe: which style an emoji is drawn in, learned from objects that those it is tested on are not among.

Of pixel art it is shown the pictures of all styles in plain squares, so its mark are the squares.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageFilter
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from mezzotint.data import pixel_art
from mezzotint.data.emoji import STYLES
from mezzotint.data.subsets import Row, choose, portrait, read
from mezzotint.models.style_probe import SIDE, StyleNetwork, StyleProbe, tensor
from mezzotint.pages.tiles import make_grid
from mezzotint.train.config import Training
from mezzotint.train.loop.loop import train
from mezzotint.train.loop.task import MakesBatches

CELLS = (12, 24)
"""Squares a side of pixel art, from and to."""
PART = 5
"""One object in so many is held out, in every style."""


class StyleConfig(Training):
    """`mezzotint train style CONFIG`."""

    data: Path
    batch: int = Field(32, gt=0)
    tested: int = Field(70, gt=0)
    """Held-out pictures of each style that are looked at on the way."""


class StyleTask(MakesBatches):
    """Name the style of a picture on white or before a backdrop, sharp or a little blurred; all styles alike often."""

    def __init__(self, config: StyleConfig):
        torch.manual_seed(config.seed)
        self.config, self.styles = config, (*STYLES, pixel_art.NAME)
        rows = choose(config.data, "all", "all")
        held = [row for row in rows if held_out(row["object"])]
        learned = [row for row in rows if not held_out(row["object"])]
        self.learned = {style: _of(learned, style) for style in self.styles}
        self.held = {style: _of(held, style) for style in self.styles}
        self.module: nn.Module = StyleNetwork(len(self.styles))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """(n, 3, 128, 128) and the numbers of their styles (n,): a function of seed and step."""
        rng = random.Random(f"style {self.config.seed} {step}")
        answers = [rng.randrange(len(self.styles)) for _ in range(self.config.batch)]
        styles = [self.styles[answer] for answer in answers]
        images = [self._render(rng.choice(self.learned[style]), style, rng) for style in styles]
        return tensor(images), torch.tensor(answers)

    def loss_of(self, module: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy."""
        scores = module(batch[0]).float()
        right = (scores.argmax(1) == batch[1].to(scores.device)).float().mean()
        return F.cross_entropy(scores, batch[1].to(scores.device)), {"right": right.item()}

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """Of the batch of this step."""
        return self.loss_of(module, self.batch(step))

    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """Held-out pictures, a row a style; the share that is right on white and before backdrops."""
        found, shown = {}, []
        for name, backdrop in (("white", 0.0), ("backdrop", 1.0)):
            verdicts = []
            for answer, style in enumerate(self.styles):
                rng = random.Random(f"style held {style}")
                rows = rng.sample(self.held[style], min(self.config.tested, len(self.held[style])))
                images = [self._render(row, style, rng, backdrop) for row in rows]
                shown += images[:8] if backdrop else []
                right = module(tensor(images)).argmax(1) == answer
                found[f"{name}_{style}"] = right.float().mean().item()
                verdicts.append(found[f"{name}_{style}"])
            found[name] = sum(verdicts) / len(verdicts)
        return make_grid(shown), found

    def save(self, module: nn.Module, folder: Path) -> None:
        """What `StyleProbe.open` reads."""
        assert isinstance(module, StyleNetwork)
        StyleProbe(module, self.styles).save(folder)

    def _render(self, row: Row, style: str, rng: random.Random, backdrop: float = 0.35) -> Image.Image:
        picture = read(self.config.data / row["file_name"], SIDE)
        if style == pixel_art.NAME:
            picture = pixel_art.pixel_art(picture, rng.randint(*CELLS))
        made = portrait(picture, rng) if rng.random() < backdrop else place_on_white(picture, rng)
        blur = rng.uniform(0, 0.7)  # as an autoencoder leaves edges
        return made.filter(ImageFilter.GaussianBlur(blur)) if blur > 0.3 else made


def _of(rows: Sequence[Row], style: str) -> list[Row]:
    return [row for row in rows if style in (row["style"], pixel_art.NAME)]


def held_out(name: str) -> bool:
    """Whether an object is never learned, in any style."""
    return hashlib.sha256(name.encode()).digest()[0] % PART == 0


def place_on_white(picture: Image.Image, rng: random.Random) -> Image.Image:
    """RGB: somewhat smaller, somewhere."""
    side = round(picture.width * rng.uniform(0.55, 1.0))
    small, slack = picture.resize((side, side), Image.Resampling.LANCZOS), picture.width - side
    made = Image.new("RGB", picture.size, "white")
    made.paste(small, (rng.randint(0, slack), rng.randint(0, slack)), small)
    return made


def train_style(config: StyleConfig) -> None:
    """Train the probe that a configuration describes."""
    train(StyleTask(config), config.loop, config.out)
