"""What a training has to have before its first step."""

from __future__ import annotations

from pathlib import Path

from accelerate import Accelerator
from accelerate.state import AcceleratorState

from mezzotint.errors import ConfigError, OutputError
from mezzotint.precision import Precision
from mezzotint.train.config import Config, LoopConfig
from mezzotint.train.running.record import keep_record
from mezzotint.train.running.task import TrainingTask, ability


def accelerator_for(kind: Precision) -> Accelerator:
    """Devices, processes and precision. ConfigError where this machine has none of such."""
    AcceleratorState._reset_state()  # else one process could train in one precision only
    try:
        made = Accelerator(mixed_precision="no" if kind == "fp32" else kind)
    except ValueError as error:
        raise ConfigError(f"this machine cannot train in {kind} ({error}); take auto or fp32") from error
    if kind == "fp16" and made.device.type == "cpu":
        raise ConfigError("training in fp16 needs a GPU; take auto or fp32")
    return made


def open_folder(task: TrainingTask, config: LoopConfig, folder: Path) -> None:
    """The run's folder, with a record of what was asked where the task does not keep its own."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write into {folder}: {error.strerror}") from None
    asked = ability(task, "config")
    if isinstance(asked, Config) and "loop" in type(asked).model_fields:
        keep_record(asked, config, folder)


def save_memory(task: TrainingTask, config: LoopConfig) -> None:
    """Gradient checkpointing, where it is asked for. ConfigError where the module has none."""
    if config.gradient_checkpointing:
        names = ("enable_gradient_checkpointing", "gradient_checkpointing_enable")
        begin = next((getattr(task.module, name) for name in names if hasattr(task.module, name)), None)
        if begin is None:
            raise ConfigError(f"a {type(task.module).__name__} has no gradient checkpointing; leave it off")
        begin()
