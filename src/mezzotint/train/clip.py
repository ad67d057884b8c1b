"""`mezzotint train clip`: an image-text pair, or the text tower alone."""

from __future__ import annotations

from mezzotint.train.clip_config import ClipConfig
from mezzotint.train.pair import PairTask
from mezzotint.train.running.loop import train
from mezzotint.train.text import TextTask

__all__ = ["ClipConfig", "train_clip"]


def train_clip(config: ClipConfig) -> None:
    """Train the pair, or the text tower alone, that a configuration describes."""
    train(PairTask(config) if config.vision else TextTask(config), config.loop, config.out)
