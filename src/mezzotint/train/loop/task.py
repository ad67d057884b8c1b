"""What the loop trains: a task, what it may add, and its batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image
from torch import Tensor, nn


class TrainingTask(Protocol):
    """A module, its loss at a step, and how its work is shown and saved.

    `step` counts batches: with `accumulate` batches a step of the optimizer, batch i of step s is s * accumulate + i.
    Beside these the loop looks for, and a task may leave out:

    - `config: Config` with a field `loop`: all that was asked, kept as config.yaml. A task whose config has no such field
      keeps a record of its own.
    - `steps_per_epoch: int`, of the optimizer: then there is a sheet before the first step and after each epoch, in
      samples/epoch-0003-raw.png and -ema.png.
    - `validate(module) -> dict[str, float]`: measured at the same moments, of the averaged weights.
    - `batch(step)` and `loss_of(module, batch)` in place of `loss`: batches are then prepared ahead, in a thread, and
      shared out between processes: tensors, arrays and lists in it are of samples, tuples and dicts hold them. What needs
      the module's device goes there in `loss_of`; `batch` may use no random state but its own.
    - `changes(name) -> bool`: whether training changes the weight of this name. Others are neither averaged nor kept in
      checkpoints, as the base of a LoRA.
    - `after()`: called when a sheet has been made.
    - `is_good_enough(numbers) -> bool`: whether a sheet's numbers are good enough to end the training.
    - `memory() -> dict` and `recall(memory)`: what a checkpoint keeps beside the weights, as JSON.
    """

    module: nn.Module

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """The loss of this batch, a mean over its samples, and numbers for the log: a function of the step alone.

        torch's own random state may be used: the loop sets it for each batch.
        """

    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """A picture of what the module can do now, and measures on fixed examples."""

    def save(self, module: nn.Module, folder: Path) -> None:
        """Write the finished model."""


def ability(task: TrainingTask, name: str, otherwise: Any = None) -> Any:
    """One of the things that a task may leave out."""
    return getattr(task, name, otherwise)


def size_of(batch: Any) -> int:
    """How many samples a batch has: the length of the first tensor, array or list in it; 0 where there is none."""
    if isinstance(batch, Tensor | np.ndarray | list):
        return len(batch)
    parts = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, tuple) else ()
    return next(filter(None, map(size_of, parts)), 0)


def part_of(batch: Any, rank: int, count: int) -> Any:
    """Samples rank, rank + count, ... of a batch: tensors, arrays and lists are of samples; tuples and dicts hold them."""
    if isinstance(batch, Tensor | np.ndarray | list):
        return batch[rank::count]
    if isinstance(batch, dict):
        return {key: part_of(value, rank, count) for key, value in batch.items()}
    if isinstance(batch, tuple):
        return tuple(part_of(value, rank, count) for value in batch)
    return batch
