"""Runs a study: all that is missing goes to one engine, and each picture is kept as soon as it is finished."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from queue import Empty, SimpleQueue
from time import monotonic

from mezzotint.engine import Engine
from mezzotint.errors import MezzotintError
from mezzotint.picture import Picture
from mezzotint.progress import ProgressReporter
from mezzotint.signals import StopSignal
from mezzotint.store import Store
from mezzotint.study import cost
from mezzotint.study.outline import FLIGHT, CompiledStudy, Cost, ModelCells, PictureTask

_LOOK = 0.2  # seconds between two looks at the clock
Say = Callable[[str], None]


@dataclass
class ModelWork:
    """What is missing of one model's cells, and what it costs."""

    part: ModelCells
    tasks: list[PictureTask]
    cost: Cost

    @cached_property
    def seconds(self) -> float:
        """How long it takes; whoever is the first to ask on a machine waits for a measurement."""
        return _seconds(self)


@dataclass
class RunOutcome:
    """How a run ended."""

    made: int = 0
    failed: dict[str, list[str]] = field(default_factory=dict)  # what went wrong: which pictures
    code: int = 0  # of a signal that ended it
    late: bool = False  # the time was over


def plan_work(outline: CompiledStudy, store: Store) -> list[ModelWork]:
    """What is to be done for a study."""
    missing = [(part, outline.missing(part, store)) for part in outline.parts]
    return [ModelWork(part, tasks, part.cost(tasks)) for part, tasks in missing]


def _seconds(item: ModelWork) -> float:
    """Kind by kind; what shared beginnings spare is taken off in proportion."""
    part, kinds = item.part, dict[str, list[int]]()
    of_cell = {
        i: cost.rates_key(part.network, part.mode, part.cells[i].request)
        for i in {t.cell for t in item.tasks}
    }
    for task in item.tasks:
        kinds.setdefault(of_cell[task.cell], []).append(task.cell)
    total, unshared = 0.0, sum(part.plans[task.cell].rows for task in item.tasks)
    for some in kinds.values():
        plans = [part.plans[cell] for cell in some]
        rows = round(sum(p.rows for p in plans) * item.cost.rows / max(1, unshared))
        total += cost.estimate_seconds(
            plans, rows, cost.measure_rates(part.network, part.mode, part.cells[some[0]].request)
        )
    return total


def run(
    items: list[ModelWork], store: Store, minutes: float = 0.0, say: Say = lambda line: None, name: str = ""
) -> RunOutcome:
    """Make what is missing, one model after another. Ctrl-C and SIGTERM end it with all that is finished kept.

    A picture that fails leaves the others alone. `name`: of the study, for what is said on the way. OutputError where
    nothing can be kept.
    """
    outcome = RunOutcome()
    deadline = monotonic() + 60 * minutes if minutes else float("inf")
    with StopSignal() as stop:
        for item in items:
            if not (outcome.code or outcome.late):
                phase = ", ".join(filter(None, (name, item.part.name)))
                _ModelRun(
                    item, store, deadline, stop, ProgressReporter(say, len(item.tasks), phase=phase), outcome
                )()
    return outcome


class _ModelRun:
    """The pictures of one model."""

    def __init__(
        self,
        item: ModelWork,
        store: Store,
        deadline: float,
        stop: StopSignal,
        progress: ProgressReporter,
        outcome: RunOutcome,
    ) -> None:
        self._item, self._store, self._deadline, self._stop = item, store, deadline, stop
        self._progress, self._outcome = progress, outcome
        self._flight: dict[Future[Picture], PictureTask] = {}
        self._done: SimpleQueue[Future[Picture]] = SimpleQueue()

    def __call__(self) -> None:
        part = self._item.part
        engine = Engine(part.network, part.mode)
        try:
            for chunk in part.chunks(self._item.tasks):
                self._wait(2 * FLIGHT - len(chunk))
                if self._over:
                    break
                futures = engine.submit_all([task.request for task in chunk], share=True)
                self._flight |= dict(zip(futures, chunk, strict=True))
                for future in futures:
                    future.add_done_callback(self._done.put)
            self._wait(0)
        finally:
            engine.close(drain=False)
            while not self._done.empty():  # what was finished meanwhile is not lost
                self._settle(self._done.get())

    @property
    def _over(self) -> bool:
        return bool(self._outcome.code or self._outcome.late)

    def _wait(self, most: int) -> None:
        """Until at most so many are in flight, or it is over."""
        while len(self._flight) > most and not self._over:
            with suppress(Empty):
                self._settle(self._done.get(timeout=_LOOK))
            self._outcome.code = self._stop.code
            self._outcome.late = monotonic() > self._deadline

    def _settle(self, future: Future[Picture]) -> None:
        task = self._flight.pop(future)
        try:
            self._store.put(future.result())
            self._outcome.made += 1
        except CancelledError:
            return
        except MezzotintError as error:
            if future.exception() is None:  # the store's, which is the end
                raise
            where = f"{self._item.part.cells[task.cell]}, seed {task.seed}"
            self._outcome.failed.setdefault(str(error), []).append(where)
        self._progress.step()
