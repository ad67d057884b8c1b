"""Checkpoints: the state of a training in a folder, written aside, flushed and renamed into place."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mezzotint.errors import ConfigError, OutputError
from mezzotint.files import sync_folder
from mezzotint.train.loop.optim import Ema

STATE, FACTS = "state.safetensors", "state.json"
_PART = ".part"
_FORMER = ("checkpoint", "checkpoint.old")
"""Where the only one was kept formerly, and the one before it for the moment of the exchange."""
T = TypeVar("T")


class Checkpoints:
    """`checkpoints/0000123`, a folder for each step that is kept. At any instant of a kill, what is there is whole."""

    def __init__(self, run: Path, keep: int):
        self.run, self.folder, self.keep = run, run / "checkpoints", keep

    def sweep(self) -> None:
        """Remove what a run that was killed had begun to write."""
        begun = (
            f"checkpoints/*{_PART}",
            f"samples/*{_PART}",
            f"*{_PART}",
            f"samples/{_PART}-*",
            f"{_PART}-*",
        )
        for part in (path for pattern in begun for path in self.run.glob(pattern)):
            shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)

    def newest(self, read: Callable[[Path], T]) -> T | None:
        """What `read` makes of the newest; one that is damaged is put aside with a warning, and the one before is read.

        ConfigError where all are damaged; None where there is none.
        """
        found = self.paths()
        for place in reversed(found):
            try:
                return read(place)
            except (FileNotFoundError, ValueError, KeyError, SafetensorError) as error:
                place.rename(place.with_name(f"{place.name}.damaged"))
                warnings.warn(
                    f"the checkpoint {place} is damaged ({error}); trying an older one", stacklevel=2
                )
        if found:
            raise ConfigError(f"every checkpoint in {self.run} is damaged: choose a new output folder")
        return None

    def write(self, step: int, fill: Callable[[Path], None]) -> None:
        """Let `fill` write the files of this step. OutputError where they cannot be; then the older ones are as before.

        Of a step that is there nothing is written: it would be the same bits.
        """
        place = self.folder / f"{step:07d}"
        try:
            if not place.exists():
                self._write(place, fill)
            self._prune()
        except (OSError, SafetensorError) as error:
            said = getattr(error, "strerror", None) or error
            raise OutputError(
                f"cannot write the checkpoint of step {step} into {self.folder}: {said}; older ones are as they were"
            ) from error

    def _write(self, place: Path, fill: Callable[[Path], None]) -> None:
        part = place.with_name(f"{place.name}{_PART}")
        try:
            part.mkdir(parents=True)
            fill(part)
            for path in part.iterdir():
                with path.open("rb+") as file:
                    os.fsync(file.fileno())
            sync_folder(part)
            part.rename(place)
            sync_folder(self.folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def paths(self) -> list[Path]:
        """All of them, the oldest first."""
        return [place for _, place in sorted(self._steps())]

    def _steps(self) -> Iterator[tuple[int, Path]]:
        for place in self.folder.glob("*"):
            if place.name.isdigit():
                yield int(place.name), place
        for name in reversed(_FORMER):
            if (self.run / name).is_dir():
                yield _step_of(self.run / name), self.run / name

    def _prune(self) -> None:
        for place in self.paths()[: -self.keep]:
            gone = self.folder / f"{place.name}{_PART}"
            place.rename(gone)  # first, so that no half of it is ever taken for a checkpoint
            shutil.rmtree(gone, ignore_errors=True)


def _step_of(place: Path) -> int:
    """Of a checkpoint of the former layout; -1 where it cannot be told."""
    try:
        return int(json.loads((place / FACTS).read_text())["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return -1


@dataclass
class TrainingState:
    """Weights, averages, optimizer, the scaler of fp16. Random state needs no place: it is a function of the step."""

    module: nn.Module
    update: torch.optim.Optimizer
    ema: Ema
    scaler: Any = None
    changes: Callable[[str], bool] = lambda name: True
    """Whether training changes a weight of this name; others are not kept."""

    def write(self, folder: Path, step: int, more: dict[str, Any]) -> None:
        """Two files: tensors, and numbers as JSON."""
        tensors = {f"weight.{name}": value for name, value in self._weights().items()}
        tensors |= {f"ema.{index}": value for index, value in enumerate(self.ema.shadow)}
        scalars: dict[str, dict[str, Any]] = {}
        for index, entries in self.update.state_dict()["state"].items():
            for key, value in entries.items():
                if isinstance(value, Tensor):
                    tensors[f"state.{index}.{key}"] = value
                else:
                    scalars.setdefault(str(index), {})[key] = value
        facts = {"step": step, "ema_count": self.ema.count, "scalars": scalars, **more}
        if self.scaler is not None:
            facts["scaler"] = self.scaler.state_dict()
        # Copies, since the format takes no two tensors of one memory (tied weights).
        save_file(
            {k: v.detach().to("cpu", copy=True).contiguous() for k, v in tensors.items()}, folder / STATE
        )
        (folder / FACTS).write_text(json.dumps(facts))

    def read(self, folder: Path) -> dict[str, Any]:
        """Take it all back; returns the numbers. ConfigError where it is of another network or optimizer."""
        facts: dict[str, Any] = json.loads((folder / FACTS).read_text())
        tensors = load_file(folder / STATE)
        self._take_weights(tensors, folder.parent)
        self._take_averages(tensors, facts["ema_count"])
        self._take_optimizer(tensors, facts["scalars"], folder.parent)
        if self.scaler is not None and "scaler" in facts:
            self.scaler.load_state_dict(facts["scaler"])
        return facts

    def _weights(self) -> dict[str, Tensor]:
        return {name: value for name, value in self.module.state_dict().items() if self.changes(name)}

    def _take_weights(self, tensors: dict[str, Tensor], where: Path) -> None:
        found = {k.removeprefix("weight."): v for k, v in tensors.items() if k.startswith("weight.")}
        own = self.module.state_dict()
        same = self._weights().keys() <= found.keys() <= own.keys()
        if not same or any(own[name].shape != value.shape for name, value in found.items()):
            raise ConfigError(f"the checkpoint in {where} is of another network: choose a new output folder")
        self.module.load_state_dict(own | found)

    @torch.no_grad()
    def _take_averages(self, tensors: dict[str, Tensor], count: int) -> None:
        for index, shadow in enumerate(self.ema.shadow):
            shadow.copy_(tensors[f"ema.{index}"])
        self.ema.count = count

    def _take_optimizer(
        self, tensors: dict[str, Tensor], scalars: dict[str, dict[str, Any]], where: Path
    ) -> None:
        groups = self.update.param_groups
        places = [
            (p, ("momentum",) if g.get("muon") else ("step", "m", "v")) for g in groups for p in g["params"]
        ]
        entries: list[tuple[str, str, Any]] = []
        for name, value in tensors.items():
            if name.startswith("state."):
                _, index, key = name.split(".")
                entries.append((index, key, value))
        entries += [(index, key, value) for index, kept in scalars.items() for key, value in kept.items()]
        for index, key, value in entries:
            if int(index) >= len(places) or key not in places[int(index)][1]:
                raise ConfigError(
                    f"the checkpoint in {where} is of another optimizer: choose a new output folder"
                )
            parameter, _ = places[int(index)]
            if isinstance(value, Tensor):  # a copy, since the file that it is mapped from may go
                value = value.to(parameter.device, copy=True)
            self.update.state[parameter][key] = value
