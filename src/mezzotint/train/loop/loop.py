"""The one training loop: steps, averages, logs, sheets, and checkpoints that resume to the bit.

Every batch is a function of its number, and random state is set from the number, so neither needs saving.
"""

from __future__ import annotations

import math
import random
import sys
import time
import warnings
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from torch import Tensor

from mezzotint.data.pictures.prefetch import Prefetcher
from mezzotint.errors import ConfigError, ModelError, OutputError
from mezzotint.signals import StopRequested, StopSignal
from mezzotint.train.config import LoopConfig
from mezzotint.train.loop.checkpoint import Checkpoints, TrainingState
from mezzotint.train.loop.cpu_speed import speed_up_on_cpu
from mezzotint.train.loop.log import Log, Means, Throughput
from mezzotint.train.loop.optim import Ema, clip_gradients, optimizer
from mezzotint.train.loop.precision import TrainingPrecision, choose_precision, to_json
from mezzotint.train.loop.progress_line import ProgressLine
from mezzotint.train.loop.record import accelerator_for, open_folder, save_memory
from mezzotint.train.loop.samples import SampleSheets
from mezzotint.train.loop.task import (
    Configured,
    MakesBatches,
    Stateful,
    StopsEarly,
    TrainingTask,
    TrainsPart,
    part_of,
    size_of,
    steps_per_epoch,
)

__all__ = ["TrainingTask", "train"]
TIME_IS_UP = 1


def train(
    task: TrainingTask, config: LoopConfig, folder: Path, precision: TrainingPrecision | None = None
) -> bool:
    """Run to the last step (or for `config.minutes`), going on from the newest checkpoint in `folder`.

    Returns whether the training is finished, rather than its time up. `precision`: where the task has chosen already.

    Ctrl-C and SIGTERM: the step is finished, a checkpoint written, and SystemExit(130 or 143) raised. At the end the
    averaged weights are in the module, and saved. ConfigError where `folder` is of a run with other settings; OutputError
    where it cannot be written: at the last checkpoint, and at one on the way when the one before failed too.
    """
    config = config.in_steps(steps_per_epoch(task))
    precision = precision or choose_precision(task, config, folder)
    accelerator = accelerator_for(precision.kind)
    if accelerator.is_main_process:
        open_folder(task, config, folder)
    accelerator.wait_for_everyone()
    task.module.to(accelerator.device)
    save_memory(task, config)
    with speed_up_on_cpu(task.module), StopSignal() as stop:
        return _TrainingRun(task, config, folder, accelerator, stop, precision).go()


class _TrainingRun:
    """One session of a training."""

    def __init__(
        self,
        task: TrainingTask,
        config: LoopConfig,
        folder: Path,
        accelerator: Accelerator,
        stop: StopSignal,
        precision: TrainingPrecision,
    ):
        self.precision = precision
        self.task, self.config, self.folder, self.stop = task, config, folder, stop
        self.accelerator, self.main = accelerator, accelerator.is_main_process
        self.rank, self.world = accelerator.process_index, accelerator.num_processes
        changes = task.changes if isinstance(task, TrainsPart) else _changes_all
        self.parameters = [p for name, p in task.module.named_parameters() if changes(name)]
        self.learned = [p for p in task.module.parameters() if p.requires_grad]
        self.ema = Ema(self.parameters, config.ema)
        update = optimizer(task.module, config.lr, config.muon_lr, config.weight_decay)
        self.state = TrainingState(task.module, update, self.ema, accelerator.scaler, changes)
        self.checkpoints, self.failed = Checkpoints(folder, config.keep), False
        facts = self._resume()
        self.step, self.means = int(facts.get("step", 0)), Means(facts.get("means"))
        if "memory" in facts and isinstance(task, Stateful):
            task.recall(facts["memory"])
        self.reached = False
        self.rates = [group["lr"] for group in update.param_groups]
        self.module, self.update = accelerator.prepare(task.module, update)
        self.epoch = steps_per_epoch(task)
        self.looks = SampleSheets(task, self.parameters, self.ema, folder, self.epoch)
        self.looked = self.step if self.looks.place(self.step).exists() else -1

    def _resume(self) -> dict[str, Any]:
        with self.accelerator.main_process_first():
            if self.main:
                self.checkpoints.sweep()
            return self.checkpoints.newest(self.state.read) or {}

    def go(self) -> bool:
        """To the end, or until asked to stop; returns whether the training is finished."""
        with ExitStack() as open_:
            self._begin(open_)
            if self.looks.due(self.step) and self.looked != self.step:
                self._look()
            while self.step < self.config.steps and not self.reached and not self._ending():
                self._advance()
            self._save(last=True)
            if (code := self._ending()) > TIME_IS_UP:
                self._leave(code)
            if self.looked != self.step:
                self._look()
        if self.stop.code:
            self._leave(self.stop.code)
        self._finish()
        return self.reached or self.step >= self.config.steps

    def _begin(self, open_: ExitStack) -> None:
        """Open what is closed again, whatever happens."""
        config, step = self.config, self.step
        open_.callback(self.accelerator.unwrap_model, self.module, keep_fp32_wrapper=False)
        if self.main:
            self.looks.remove_after(step)
            self.log = open_.enter_context(closing(Log(self.folder, step, self.looked == step, self.epoch)))
        self.line = open_.enter_context(closing(ProgressLine(step, config.steps, self.epoch, self.main)))
        self.pace = open_.enter_context(closing(Throughput(self.task.module, step, config.steps)))
        self.batches: Prefetcher[int, Any] | None = None
        if isinstance(self.task, MakesBatches):
            self.batches = open_.enter_context(closing(Prefetcher(self.task.batch, min(1, config.ahead))))
        elif self.world > 1:
            raise ConfigError("this training cannot be shared out between processes; start it in one")
        self.until = time.monotonic() + 60 * config.minutes if config.minutes else math.inf
        self.save_due, self.sheet_due = _Timer(config.save_minutes), _Timer(config.sheet_minutes)

    def _ending(self) -> int:
        """Why to stop now: an exit code, TIME_IS_UP, or 0; every process gets the same answer."""
        code = self.stop.code or (TIME_IS_UP if time.monotonic() >= self.until else 0)
        if self.world > 1:
            agreed = torch.tensor(code, device=self.accelerator.device)
            torch.distributed.all_reduce(agreed, torch.distributed.ReduceOp.MAX)
            code = int(agreed)
        return code

    def _advance(self) -> None:
        """One step of the optimizer, and what is due after it."""
        for group, base in zip(self.update.param_groups, self.rates, strict=True):
            group["lr"] = base * self.config.rate(self.step)
        with self.pace.step():
            self._gradients()
            self.accelerator.unscale_gradients()
            self.means.add({"grad_norm": clip_gradients(self.learned, self.config.clip)})
            self.update.step()
            self.update.zero_grad(set_to_none=True)
            self.ema.update(self.parameters)
        self.step += 1
        if self.step % self.config.log_every == 0:
            self._write()
        self.line.update(self.step)
        if self.looks.due(self.step) or (not self.epoch and self.sheet_due()):
            self._look()
        if self.save_due():
            self._save()

    def _gradients(self) -> None:
        """Of all batches of this step, averaged."""
        count = self.config.accumulate
        for i in range(count):
            last = i + 1 == count
            with nullcontext() if last else self.accelerator.no_sync(self.module):
                loss, numbers = self._loss(self.step * count + i)
                self.accelerator.backward(loss / count)
            self.means.add({"loss": loss, **numbers})

    def _loss(self, index: int) -> tuple[Tensor, dict[str, float]]:
        """Of a batch, or of this process's part of it, which weighs as much as it has samples."""
        _seed(index * self.world + self.rank)
        self.pace.fetching()
        if self.batches is None or not isinstance(self.task, MakesBatches):
            if isinstance(self.task, Configured):
                self.pace.samples += getattr(self.task.config, "batch", 0)
            with self.accelerator.autocast():
                return self.task.loss(self.module, index)
        end = self.config.steps * self.config.accumulate
        batch = self.batches.get(index, range(index + 1, min(index + 1 + self.config.ahead, end)))
        whole = size_of(batch)
        self.pace.samples += whole
        part = part_of(batch, self.rank, self.world) if self.world > 1 else batch
        with self.accelerator.autocast():
            loss, numbers = self.task.loss_of(self.module, part)
        return loss * (self.world * size_of(part) / whole) if self.world > 1 else loss, numbers

    def _write(self) -> None:
        """A line of the log."""
        numbers = self.means.pop()
        if self.world > 1:
            every = torch.tensor(numbers["loss"], device=self.accelerator.device)
            numbers["loss"] = float(self.accelerator.reduce(every, "mean"))
        self._check(numbers["loss"])
        numbers |= {"lr": self.update.param_groups[0]["lr"], **self.pace.pop(self.step)}
        if self.main:
            self.log.write(self.step, numbers)
        self.line.update(self.step, numbers)

    def _look(self) -> None:
        if self.main:
            self.line.look(self.step)
            try:
                numbers = self.looks.make(self.step, self.log, self.stop)
                self.reached = isinstance(self.task, StopsEarly) and self.task.is_good_enough(numbers)
            except StopRequested:
                return  # it is made when the run goes on
        self.looked = self.step

    def _check(self, loss: float) -> None:
        """ModelError where the weights are lost, before they take the place of good ones."""
        if not math.isfinite(loss):
            raise ModelError(
                f"the loss is {loss} at step {self.step}: lower the learning rate; checkpoints from before are kept"
            )

    def _save(self, last: bool = False) -> None:
        """A checkpoint. One that cannot be written is a warning; two in a row, or the last, an OutputError."""
        if not self.main:
            return
        means = self.means.state()
        self._check(means.get("loss", (0.0, 0))[0])
        more = {"means": means, "precision": to_json(self.precision)}
        if isinstance(self.task, Stateful):
            more["memory"] = self.task.memory()
        try:
            self.checkpoints.write(self.step, lambda place: self.state.write(place, self.step, more))
            self.failed = False
        except OutputError as error:
            if last or self.failed:
                raise
            self.failed = True
            warnings.warn(f"{error}; training goes on", stacklevel=2)

    def _leave(self, code: int) -> None:
        if self.main:
            told = f"stopped at step {self.step} of {self.config.steps}; the same command goes on from there"
            print(told, file=sys.stderr, flush=True)
        raise SystemExit(code)

    def _finish(self) -> None:
        """The averaged weights are what is saved."""
        self.ema.swap(self.parameters)
        if self.main:
            try:
                self.task.save(self.task.module, self.folder / "model")
            except (OSError, SafetensorError) as error:
                said = getattr(error, "strerror", None) or error
                raise OutputError(f"cannot write the model: {said}; the same command tries again") from error


def _changes_all(name: str) -> bool:
    return True


class _Timer:
    """True once every so many minutes."""

    def __init__(self, minutes: float):
        self.seconds, self.since = 60 * minutes, time.monotonic()

    def __call__(self) -> bool:
        due = time.monotonic() - self.since >= self.seconds
        self.since = time.monotonic() if due else self.since
        return due


def _seed(number: int) -> None:
    """What dropout and the like draw is a function of the batch's number."""
    random.seed(number)
    np.random.seed(number % 2**32)
    torch.manual_seed(number)
