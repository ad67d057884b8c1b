"""The folder of a run and its `config.yaml`, so that the same run goes on and another is refused; devices."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from mezzotint.config import Config
from mezzotint.errors import ConfigError, OutputError
from mezzotint.files import write_atomic
from mezzotint.precision import Precision
from mezzotint.train.config import LoopConfig
from mezzotint.train.loop.task import Configured, TrainingTask

FREE = (
    "steps",
    "epochs",
    "minutes",
    "cooldown",
    "log_every",
    "save_minutes",
    "sheet_minutes",
    "keep",
    "ahead",
    "precision",
    "mixed_precision",  # its former names
    "bf16",
)
"""Of the loop, what may differ from one session to the next: how long, how often to look, what the machine computes in."""
_FREE = {"out", "exposures", "stop_at", *(f"loop.{name}" for name in FREE)}


def keep_record(config: Config, loop: LoopConfig, folder: Path) -> None:
    """Write what was asked, or compare. ConfigError names what differs; what may differ is written anew."""
    note = folder / "config.yaml"
    asked = config.model_dump(mode="json") | {"loop": loop.model_dump(mode="json")}
    if note.exists():
        chosen = _flat(config.model_dump(mode="json", exclude_defaults=True))
        _refuse(folder, list(_differences(_flat(_read(note)), _flat(asked), chosen)))
    try:
        write_atomic(note, yaml.safe_dump(asked, sort_keys=False).encode())
    except OSError as error:
        raise OutputError(f"cannot write {note}: {error.strerror}") from None


def _refuse(folder: Path, found: list[str]) -> None:
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise ConfigError(
            f"{folder} is of a run with other settings: {'; '.join(found[:3])}{more}; choose a new output folder, "
            f"or edit its config.yaml if the run shall go on with these"
        )


def _read(note: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(note.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read {note}: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{note} should hold a table of settings; choose a new output folder")
    return found


def _differences(
    before: Mapping[str, Any], now: Mapping[str, Any], chosen: Mapping[str, Any]
) -> Iterator[str]:
    """Settings that differ, in words. One that the record does not know counts only where it was `chosen`."""
    for name in sorted((before.keys() | now.keys()) - _FREE):
        if name not in before:
            if name in chosen:
                yield f"{name} is {now[name]} here, and not set there"
        elif name not in now or not _same(before[name], now[name]):
            yield f"{name} is {before[name]} there and {now.get(name, 'not set')} here"


def _same(one: Any, other: Any) -> bool:
    """Paths may be spelled in two ways."""
    if isinstance(one, str) and isinstance(other, str) and one and other:
        return os.path.abspath(one) == os.path.abspath(other)
    return bool(one == other)


def _flat(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = value
    return flat


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
    if isinstance(task, Configured) and "loop" in type(task.config).model_fields:
        keep_record(task.config, config, folder)


def save_memory(task: TrainingTask, config: LoopConfig) -> None:
    """Gradient checkpointing, where it is asked for. ConfigError where the module has none."""
    if config.gradient_checkpointing:
        names = ("enable_gradient_checkpointing", "gradient_checkpointing_enable")
        begin = next((getattr(task.module, name) for name in names if hasattr(task.module, name)), None)
        if begin is None:
            raise ConfigError(f"a {type(task.module).__name__} has no gradient checkpointing; leave it off")
        begin()
