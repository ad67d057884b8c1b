"""Which settings are asked: Optuna's samplers, with what was asked and found in a file, so that a search goes on.

The sampler is made anew for every setting from a seed of its number, so a search that was stopped asks what it would have.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from mezzotint.errors import ConfigError, OutputError
from mezzotint.store.files import lock
from mezzotint.study.tune.halving import Trial
from mezzotint.study.tune.space import Axis, Point, Space

WAVE = 8  # settings that are asked before the sampler hears of them
_AGAIN = 8  # times that TPE may ask what is known, before a setting is drawn at random


class Trials:
    """The settings of one search, in the order in which they were asked. `first` is asked first, where the space has it.

    OutputError where the file cannot be written, ConfigError where it is damaged.
    """

    def __init__(self, path: Path, name: str, space: Space, higher: bool, first: Point | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space, self._path = space, path
        self._ways = {axis.name: _distribution(axis) for axis in space.axes}
        with self._read():
            backend = JournalFileBackend(str(path), _Lock(path))  # type: ignore[arg-type]  # its base is private
            self._study = optuna.create_study(
                storage=optuna.storages.JournalStorage(backend),
                study_name=name,
                direction="maximize" if higher else "minimize",
                load_if_exists=True,
            )
            if first and space.holds(first):
                self._study.enqueue_trial(first, skip_if_exists=True)

    @contextmanager
    def _read(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"cannot keep trials in {self._path}: {error.strerror or error}") from None
        except (ValueError, KeyError, AssertionError) as error:
            said = f"{self._path} is damaged; remove it: the same settings will be asked, and no picture is drawn twice"
            raise ConfigError(said) from error

    def batch(self, done: int, count: int) -> list[Trial]:
        """The settings after so many that go together, of `count` in all: those that are known, then those that are asked now.

        A space that has no more than `count` is asked for all of them; else the sampler hears of some before others are asked.
        """
        size = self._space.size
        everything = size is not None and size <= count
        most = min(count, size or count)
        upto = most if everything else min(most, (done // WAVE + 1) * WAVE)
        while len(self._trials) < upto:
            self._ask(everything)
        return self._trials[done:upto]

    @property
    def _trials(self) -> list[Trial]:
        """In order, each once."""
        with self._read():
            return [self._of(trial) for trial in self._study.get_trials(deepcopy=False) if _is_counted(trial)]

    def _of(self, trial: FrozenTrial) -> Trial:
        return Trial(trial.number, self._space.to_point(trial.params), trial.state != TrialState.RUNNING)

    def tell(self, number: int, value: float | None) -> None:
        """What a setting came to; None where it came to nothing, or to what is out of bounds: worse than all others."""
        state = TrialState.PRUNED if value is None else TrialState.COMPLETE
        self._study.tell(number, value, state=state)

    def _ask(self, everything: bool) -> None:
        """One more setting that was not asked before; what is asked twice is a failed trial, which no sampler reads."""
        known = [asked.point for asked in self._trials]
        if everything:
            self._study.enqueue_trial(next(p for p in self._space.grid() if p not in known))
        for again in range(1_000_000):
            number = len(self._study.get_trials(deepcopy=False))
            tpe = again < _AGAIN
            self._study.sampler = (
                optuna.samplers.TPESampler(seed=number) if tpe else optuna.samplers.RandomSampler(seed=number)
            )
            trial = self._study.ask(self._ways)
            if self._space.to_point(trial.params) not in known:
                return
            self._study.tell(trial, state=TrialState.FAIL)
        raise ConfigError("the search finds no setting that it has not tried; make the space larger")


def _is_counted(trial: FrozenTrial) -> bool:
    return trial.state in (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)


def _distribution(axis: Axis) -> BaseDistribution:
    if axis.values:
        return CategoricalDistribution(axis.values)
    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high), axis.log, int(axis.step or 1))
    return FloatDistribution(axis.low, axis.high, axis.log, axis.step)


class _Lock:
    """Of the system, which takes it back from a process that dies; a line that such a one left torn is cut off."""

    def __init__(self, path: Path) -> None:
        self._path, self._held = path, -1

    def acquire(self) -> bool:
        """Waits."""
        self._held = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        lock(self._held)
        size = os.fstat(self._held).st_size
        tail = os.pread(self._held, 1 << 20, max(0, size - (1 << 20)))
        if tail and not tail.endswith(b"\n"):
            os.ftruncate(self._held, size - len(tail) + tail.rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        """Closing gives it back."""
        os.close(self._held)
