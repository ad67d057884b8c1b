"""The one training loop: steps, averages, logs, sheets, and checkpoints that resume to the bit.

Every batch is a function of (seed, step), so the data order and the random state need no saving.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mezzotint.errors import ConfigError
from mezzotint.train.config import LoopConfig
from mezzotint.train.optim import Ema, optimizer


class Task(Protocol):
    """What is trained: a module, its loss at a step, and how its work is shown and saved."""

    module: nn.Module

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """The loss of the batch of this step, and numbers for the log."""

    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """A picture of what the module can do now, and measures on fixed examples."""

    def save(self, module: nn.Module, folder: Path) -> None:
        """Write the finished model."""


def train(task: Task, config: LoopConfig, folder: Path) -> None:
    """Run to `config.steps` (or `config.minutes` of this run), resuming from `folder` where a checkpoint is."""
    accelerator = Accelerator(mixed_precision="bf16" if config.bf16 else "no")
    folder.mkdir(parents=True, exist_ok=True)
    module = task.module
    update = optimizer(module, config.lr, config.muon_lr, config.weight_decay)
    ema = Ema(module.parameters(), config.ema)
    step = _resume(folder, module, update, ema)
    rates = [group["lr"] for group in update.param_groups]
    prepared, update = accelerator.prepare(module, update)
    stop = time.monotonic() + 60 * config.minutes if config.minutes else math.inf
    save_due, sheet_due = _Timer(config.save_minutes), _Timer(config.sheet_minutes)
    with closing(_Log(folder, step)) as log:
        while step < config.steps and time.monotonic() < stop:
            rate = config.rate(step)
            for group, base in zip(update.param_groups, rates, strict=True):
                group["lr"] = base * rate
            with accelerator.autocast():
                loss, numbers = task.loss(prepared, step)
            accelerator.backward(loss)
            norm = accelerator.clip_grad_norm_(prepared.parameters(), config.clip) if config.clip else 0.0
            update.step()
            update.zero_grad(set_to_none=True)
            ema.update(module.parameters())
            step += 1
            log.add(step, {"loss": loss, "grad_norm": norm, "rate": rate, **numbers}, config.log_every)
            if save_due():
                _save(folder, module, update, ema, step)
            if sheet_due():
                _sheet(task, module, ema, folder, step, log)
        _save(folder, module, update, ema, step)
        _sheet(task, module, ema, folder, step, log)
    ema.swap(module.parameters())
    task.save(module, folder / "model")


class _Timer:
    """True once every so many minutes."""

    def __init__(self, minutes: float):
        self.seconds, self.since = 60 * minutes, time.monotonic()

    def __call__(self) -> bool:
        due = time.monotonic() - self.since > self.seconds
        self.since = time.monotonic() if due else self.since
        return due


def _sheet(task: Task, module: nn.Module, ema: Ema, folder: Path, step: int, log: _Log) -> None:
    ema.swap(module.parameters())
    module.eval()
    with torch.no_grad():
        image, numbers = task.sheet(module)
    module.train()
    ema.swap(module.parameters())
    image.save(folder / f"sheet-{step:07d}.png")
    image.save(folder / "sheet.png")
    log.write(step, {f"eval_{key}": value for key, value in numbers.items()})


def _save(folder: Path, module: nn.Module, update: Any, ema: Ema, step: int) -> None:
    """Write a checkpoint beside the old one, then exchange them: a kill leaves one whole checkpoint."""
    part, kept = folder / "checkpoint.part", folder / "checkpoint"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    state = update.state_dict()
    tensors = {f"weight.{name}": value.contiguous() for name, value in module.state_dict().items()}
    tensors |= {f"ema.{index}": value.contiguous() for index, value in enumerate(ema.shadow)}
    scalars: dict[str, dict[str, Any]] = {}
    for index, entries in state["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"state.{index}.{key}"] = value.contiguous()
            else:
                scalars.setdefault(str(index), {})[key] = value
    save_file({name: value.clone() for name, value in tensors.items()}, part / "state.safetensors")
    (part / "state.json").write_text(json.dumps({"step": step, "ema_count": ema.count, "scalars": scalars}))
    for path in part.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    old = folder / "checkpoint.old"
    shutil.rmtree(old, ignore_errors=True)
    if kept.exists():
        kept.rename(old)
    part.rename(kept)
    shutil.rmtree(old, ignore_errors=True)


def _resume(folder: Path, module: nn.Module, update: torch.optim.Optimizer, ema: Ema) -> int:
    """Load the newest whole checkpoint into everything; returns the step to go on from."""
    kept = next(
        (folder / name for name in ("checkpoint", "checkpoint.old") if (folder / name).exists()), None
    )
    if kept is None:
        return 0
    facts, tensors = json.loads((kept / "state.json").read_text()), load_file(kept / "state.safetensors")
    try:
        module.load_state_dict(
            {k.removeprefix("weight."): v for k, v in tensors.items() if k.startswith("weight.")}
        )
    except RuntimeError as error:
        raise ConfigError(
            f"the checkpoint in {folder} is of another network: choose a new output folder"
        ) from error
    with torch.no_grad():
        for index, shadow in enumerate(ema.shadow):
            shadow.copy_(tensors[f"ema.{index}"])
    ema.count = facts["ema_count"]
    parameters = [parameter for group in update.param_groups for parameter in group["params"]]
    for name, value in tensors.items():
        if name.startswith("state."):
            _, index, key = name.split(".")
            update.state[parameters[int(index)]][key] = value
    for index, entries in facts["scalars"].items():
        update.state[parameters[int(index)]].update(entries)
    return int(facts["step"])


class _Log:
    """Means of the last steps, to the terminal, to JSONL and to TensorBoard where it is installed."""

    def __init__(self, folder: Path, step: int):
        self.file = (folder / "log.jsonl").open("a")
        self.sums: dict[str, Any] = {}
        self.began, self.step = time.monotonic(), step
        try:
            from torch.utils.tensorboard import SummaryWriter

            self.board: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=step)
        except ImportError:
            self.board = None

    def add(self, step: int, numbers: dict[str, Any], every: int) -> None:
        """Gather the numbers of one step; write their means every so often."""
        for key, value in numbers.items():
            self.sums[key] = self.sums.get(key, 0.0) + (
                value.detach() if isinstance(value, Tensor) else value
            )
        if step % every == 0:
            count, now = step - self.step, time.monotonic()
            means = {key: float(value) / count for key, value in self.sums.items()}
            self.write(step, means | {"seconds": (now - self.began) / count})
            self.sums, self.began, self.step = {}, now, step

    def close(self) -> None:
        """Close the files."""
        self.file.close()
        if self.board is not None:
            self.board.close()

    def write(self, step: int, numbers: dict[str, float]) -> None:
        """One line of the log."""
        line = {"step": step, "time": round(time.time(), 1)} | {
            key: round(v, 6) for key, v in numbers.items()
        }
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        print(json.dumps(line), flush=True)
        if self.board is not None:
            for key, value in numbers.items():
                self.board.add_scalar(key, value, step)
