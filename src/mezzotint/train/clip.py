"""`mezzotint train clip`: the towers of an image-text pair, and what they are told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from mezzotint.config import Config
from mezzotint.train.config import Training


class TextTower(Config):
    """A CLIP text transformer."""

    width: int = 384
    layers: int = 3
    heads: int = 6
    intermediate: int = 1024


class VitTower(Config):
    """A vision transformer, as CLIP's."""

    kind: Literal["vit"] = "vit"
    size: int = 64
    patch: int = 8
    width: int = 192
    layers: int = 4
    heads: int = 3


class ConvTower(Config):
    """A ConvNeXt V2."""

    kind: Literal["convnext"] = "convnext"
    size: int = 64
    widths: tuple[int, ...] = (40, 80, 160, 320)
    depths: tuple[int, ...] = (1, 1, 3, 1)


class ClipConfig(Training):
    """`mezzotint train clip CONFIG`: with no `vision`, the text tower alone is distilled."""

    data: Path
    cache: Path = Path("runs/cache")
    vocabulary: int = Field(8192, ge=1024)
    tokenizer: Path | None = None
    """A folder with a tokenizer to share; else one is built."""
    text: TextTower = TextTower()
    vision: VitTower | ConvTower | None = None
    dim: int = 128
    batch: int = Field(128, gt=1)
    absent: int = 256
    """Names of other objects that every picture of a batch is told from."""
    distill: float = 1.0
    """Weight of agreement with the BERT, for pairs."""
    start: Path | None = None
    """A pair's folder to begin with in place of random weights; `tokenizer` should be its own."""
    ordinary: float = Field(0.0, ge=0, le=1)
    """Share of objects that are ordinary things (`ORDINARY`)."""
    worn: float = Field(0.0, ge=0, le=1)
    """Share of pictures that are blurred, tinted or grainy, as half-finished and steered ones are, for pairs."""

    @model_validator(mode="after")
    def _sees(self) -> Self:
        if self.vision is None and (self.start or self.worn):
            raise ValueError("start and worn are for pairs; say which `vision`, or leave them out")
        return self
