"""What the loop trains: a task, what it may add, and its batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image
from torch import Tensor, nn

from mezzotint.config import Config


class TrainingTask(Protocol):
    """A module, its loss at a step, and how its work is shown and saved.

    `step` counts batches: with `accumulate` batches a step of the optimizer, batch i of step s is s * accumulate + i.
    What a task may do beside: `Configured`, `HasEpochs`, `MakesBatches`, `TrainsPart`, `Validates`, `SkipsSheets`, `StopsEarly`,
    `Stateful`, `AfterSheet`. A task names those that it does as its bases, so that a type checker sees that it does them.
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


@runtime_checkable
class Configured(Protocol):
    """All settings. Where they have a field `loop`, they are kept as config.yaml; else the task keeps its own record."""

    config: Config


@runtime_checkable
class HasEpochs(Protocol):
    """There is a sheet before the first step and after each epoch: samples/epoch-0003-raw.png and -ema.png."""

    steps_per_epoch: int
    """Of the optimizer."""


@runtime_checkable
class MakesBatches(Protocol):
    """Batches are prepared ahead in a thread, and shared out between processes.

    Tensors, arrays and lists in a batch are of samples; tuples and dicts hold them.
    """

    def batch(self, step: int) -> Any:
        """The batch of this step, on the CPU. No random state but its own may be used."""

    def loss_of(self, module: nn.Module, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """As `loss`, of a batch or a part of one, which goes to the module's device here."""


@runtime_checkable
class TrainsPart(Protocol):
    """Some weights stay as they are, as those below a LoRA: no averages of them, and none in checkpoints."""

    def changes(self, name: str) -> bool:
        """Whether training changes the weight of this name."""


@runtime_checkable
class Validates(Protocol):
    """The averaged weights are measured wherever a sheet is made."""

    def validate(self, module: nn.Module) -> dict[str, float]:
        """Measures by name."""


@runtime_checkable
class SkipsSheets(Protocol):
    """Some sheets are left out, as one before the first step that would take longer than the training."""

    def shows(self, step: int) -> bool:
        """Whether there is a sheet at this step; without one, `validate` alone is asked."""


@runtime_checkable
class StopsEarly(Protocol):
    """The training may end before its last step."""

    def is_good_enough(self, numbers: dict[str, float]) -> bool:
        """Whether a sheet's numbers are good enough to end the training."""


@runtime_checkable
class Stateful(Protocol):
    """A checkpoint keeps more than the weights."""

    def memory(self) -> dict[str, Any]:
        """What it keeps, as JSON."""

    def recall(self, memory: dict[str, Any]) -> None:
        """Take it back."""


@runtime_checkable
class AfterSheet(Protocol):
    """Something follows each sheet, such as a report."""

    def after(self) -> object:
        """Called when a sheet is written."""


def steps_per_epoch(task: TrainingTask) -> int:
    """Of the optimizer; 0 where the task has no epochs."""
    return task.steps_per_epoch if isinstance(task, HasEpochs) else 0


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
