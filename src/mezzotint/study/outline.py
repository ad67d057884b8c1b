"""What a study has to do: which pictures are missing, and what they cost, before the first step."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, islice

from mezzotint.engine import Engine, Mode, Network
from mezzotint.engine.prefix_sharing import Calls, count_shared, guidance_calls, prefix_key
from mezzotint.errors import MezzotintError
from mezzotint.planning import Plan
from mezzotint.request import Request
from mezzotint.store import Store, key_of, precision_of
from mezzotint.study.cells import Cell, cells, raise_mistakes
from mezzotint.study.spec import Study
from mezzotint.study.table import Row, StudyTable

FLIGHT = 64  # pictures handed to the engine at once; of these at most two are under way, so memory is flat
OpenModel = Callable[[str], Network]
Companions = Callable[[Sequence[Request]], list[Request]]


@dataclass(frozen=True)
class Cost:
    """What is to be computed."""

    pictures: int = 0
    evaluations: int = 0  # network calls of the pictures, each counted for itself
    rows: int = 0  # of all those calls
    spared: int = 0  # evaluations that shared beginnings save; already taken off the two above

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.pictures + other.pictures,
            self.evaluations + other.evaluations,
            self.rows + other.rows,
            self.spared + other.spared,
        )


@dataclass(frozen=True)
class PictureTask:
    """One missing picture."""

    cell: int
    seed: int
    key: str
    request: Request


class ModelCells:
    """The cells of one model."""

    def __init__(
        self, name: str, network: Network, mode: Mode, places: list[int], some: list[Cell], plans: list[Plan]
    ) -> None:
        self.name, self.network, self.mode = name, network, mode  # as the study calls it
        # `places` in the study; the cells after them are drawn for metrics to compare with
        self.places, self.cells, self.plans = places, some, plans
        self._precision = precision_of(network)
        self._ways: dict[int, Calls] = {}

    def request(self, cell: int, seed: int) -> Request:
        """The request of a cell and a seed."""
        return replace(self.cells[cell].request, seed=seed)

    def key(self, request: Request) -> str:
        """The store's key of its picture."""
        return key_of(request, self.network.digest, self.mode, self._precision)

    @cached_property
    def order(self) -> list[int]:
        """The cells, with those that may share a beginning next to each other."""
        return sorted(range(len(self.cells)), key=lambda cell: (self._trunks[cell], cell))

    @cached_property
    def _trunks(self) -> list[int]:
        numbers: dict[Hashable, int] = {}
        return [numbers.setdefault(prefix_key(cell.request), len(numbers)) for cell in self.cells]

    def chunks(self, tasks: Sequence[PictureTask]) -> Iterator[list[PictureTask]]:
        """Tasks in the order of `order`, split into what goes to the engine at once: those that share stay together."""
        for _, group in groupby(tasks, key=lambda task: (task.seed, self._trunks[task.cell])):
            while some := list(islice(group, FLIGHT)):
                yield some

    def cost(self, tasks: Sequence[PictureTask]) -> Cost:
        """Of these tasks, with shared beginnings counted once."""
        total, known = Cost(), dict[tuple[int, ...], Cost]()  # the seeds repeat the same
        for chunk in self.chunks(tasks):
            some = tuple(task.cell for task in chunk)
            if some not in known:
                known[some] = self._cost(some)
            total += known[some]
        return total

    def _cost(self, some: tuple[int, ...]) -> Cost:
        plans = [self.plans[i] for i in some]
        calls_, rows = (
            count_shared([(self.plans[i], self._calls(i)) for i in some]) if len(some) > 1 else (0, 0)
        )
        evaluations, all_rows = sum(p.evaluations for p in plans), sum(p.rows for p in plans)
        return Cost(len(some), evaluations - calls_, all_rows - rows, calls_)

    def _calls(self, cell: int) -> Calls:
        if cell not in self._ways:
            self._ways[cell] = guidance_calls(self.plans[cell], self.cells[cell].request.terms)
        return self._ways[cell]


class CompiledStudy:
    """A study, compiled against its models: nothing is drawn yet. ConfigError with every cell that cannot be."""

    def __init__(
        self, study: Study, open_model: OpenModel, companions: Companions = lambda requests: []
    ) -> None:
        self.study = study
        self.cells = cells(study)
        self.parts = _group_by_model(study, self.cells, open_model, companions)

    @property
    def pictures(self) -> int:
        """Of all cells and seeds, with those that metrics compare with."""
        return sum(len(part.cells) for part in self.parts) * len(self.study.seed_list)

    def missing(self, part: ModelCells, store: Store) -> list[PictureTask]:
        """What the store has not: seed by seed, so that a study that is stopped early has all cells alike."""
        tasks: dict[str, PictureTask] = {}  # cells that ask for the same share a picture
        for seed in self.study.seed_list:
            for cell in part.order:
                request = part.request(cell, seed)
                key = part.key(request)
                tasks.setdefault(key, PictureTask(cell, seed, key, request))
        here = store.rows(tasks)
        return [task for key, task in tasks.items() if key not in here]

    def table(self, store: Store) -> StudyTable:
        """All pictures that are there, cell by cell, not measured yet."""
        rows: dict[tuple[int, int], Row] = {}
        for part in self.parts:
            asked = {
                (i, k): part.request(i, seed)
                for i in range(len(part.places))
                for k, seed in enumerate(self.study.seed_list)
            }
            keys = {at: part.key(request) for at, request in asked.items()}
            here = store.rows(set(keys.values()))
            for (i, k), key in keys.items():
                if key in here:
                    cell, request, kept = part.cells[i], asked[i, k], here[key]
                    rows[part.places[i], k] = Row(
                        cell.values, request.seed, cell.model, key, request,
                        evaluations=kept.evaluations, seconds=kept.seconds,
                    )  # fmt: skip
        return StudyTable(tuple(rows[at] for at in sorted(rows)), self.study.axis_names)


def _group_by_model(
    study: Study, some: list[Cell], open_model: OpenModel, companions: Companions
) -> list[ModelCells]:
    """The cells by model, each checked by the engine that would draw it. All that is wrong is told at once."""
    parts, wrong = [], dict[str, list[str]]()
    for name in dict.fromkeys(cell.model for cell in some):
        places = [i for i, cell in enumerate(some) if cell.model == name]
        try:
            network = open_model(name)
        except MezzotintError as error:
            wrong.setdefault(str(error), []).extend(str(some[i]) for i in places)
            continue
        mine = [some[i] for i in places]
        mine += [Cell({"metrics": "beside"}, name, r) for r in companions([cell.request for cell in mine])]
        with Engine(network, study.mode) as engine:
            plans = []
            for cell in mine:
                try:
                    plans.append(engine.check(cell.request))
                except MezzotintError as error:
                    wrong.setdefault(str(error), []).append(str(cell))
        parts.append(ModelCells(name, network, study.mode, places, mine, plans))
    raise_mistakes(wrong)
    return parts
