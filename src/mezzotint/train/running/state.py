"""All that a training is between two steps, as tensors and numbers in a folder, and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mezzotint.errors import ConfigError
from mezzotint.train.running.checkpoint import FACTS, STATE
from mezzotint.train.running.optim import Ema


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
