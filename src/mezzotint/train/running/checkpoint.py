"""Checkpoints on disk: written aside, flushed, renamed into place; the last few are kept."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError

from mezzotint.errors import ConfigError, OutputError
from mezzotint.files import sync_folder

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
