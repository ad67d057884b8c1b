"""Sheets and measures on the way: of the averaged weights, and by epoch of the last weights too."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import nn

from mezzotint.files import write_atomic
from mezzotint.signals import StopSignal
from mezzotint.train.loop.log import Log
from mezzotint.train.loop.optim import Ema
from mezzotint.train.loop.task import AfterSheet, SkipsSheets, TrainingTask, Validates


@dataclass
class SampleSheets:
    """Makes sheets; one that is there tells that its step has been looked at."""

    task: TrainingTask
    parameters: list[nn.Parameter]
    ema: Ema
    folder: Path
    epoch: int
    """Steps of one, or 0."""

    def due(self, step: int) -> bool:
        """Whether this step ends an epoch, or begins the first."""
        return bool(self.epoch) and step % self.epoch == 0

    def place(self, step: int, kind: str = "ema") -> Path:
        """Where the sheet of a step is."""
        if self.due(step):
            return self.folder / "samples" / f"epoch-{step // self.epoch:04d}-{kind}.png"
        return self.folder / f"sheet-{step:07d}.png"

    def remove_after(self, step: int) -> None:
        """Remove what a run that was killed made after this step: it is made anew."""
        for place in self.folder.glob("samples/epoch-*-*.png"):
            if int(place.name.split("-")[1]) * self.epoch > step:
                place.unlink()
        for place in self.folder.glob("sheet-*.png"):
            if int(place.stem.split("-")[1]) > step:
                place.unlink()

    def make(self, step: int, log: Log, stop: StopSignal) -> dict[str, float]:
        """Look, write it down, and the averaged weights' sheet last; returns the numbers of the averaged weights.

        Raises Asked where a signal comes meanwhile.
        """
        sheets: dict[str, Image.Image] = {}
        measured: dict[str, float] = {}
        shows = not isinstance(self.task, SkipsSheets) or self.task.shows(step)
        with at_rest(self.task.module), self._ema_weights():
            with stop.at_once():
                numbers = self._validate()
                if shows:
                    sheets["ema"], measured = self.task.sheet(self.task.module)
            numbers |= {f"eval_{key}": value for key, value in measured.items()}
        if self.due(step) and shows:
            sheets["raw"] = sheets["ema"]
            if step:
                with at_rest(self.task.module), stop.at_once():
                    sheets["raw"], raw = self.task.sheet(self.task.module)
                numbers |= {f"eval_raw_{key}": value for key, value in raw.items()}
        log.write(step, numbers)
        for kind in sorted(sheets, reverse=True):
            _keep(sheets[kind], self.place(step, kind))
        if shows:
            _keep(sheets["ema"], self.folder / "sheet.png")
        if isinstance(self.task, AfterSheet):
            self.task.after()
        return measured

    def _validate(self) -> dict[str, float]:
        task = self.task
        return dict(task.validate(task.module)) if isinstance(task, Validates) else {}

    @contextmanager
    def _ema_weights(self) -> Iterator[None]:
        self.ema.swap(self.parameters)
        try:
            yield
        finally:
            self.ema.swap(self.parameters)


@contextmanager
def at_rest(module: nn.Module) -> Iterator[None]:
    """Without gradients and dropout; afterwards each part of the module is in the mode in which it was."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


def _keep(image: Image.Image, place: Path) -> None:
    """Whole or not at all. A sheet is not worth the training: where it cannot be written, that is a warning."""
    png = io.BytesIO()
    image.save(png, format="PNG")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(place, png.getvalue())
    except OSError as error:
        warnings.warn(f"cannot write {place}: {error.strerror or error}", stacklevel=2)
