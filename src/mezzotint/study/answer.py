"""A study from its question to its table and its page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint import models
from mezzotint.errors import ConfigError, nearest
from mezzotint.machine import machine
from mezzotint.progress import duration
from mezzotint.store import Store, precision_of
from mezzotint.study.claims import DifferentSeeds, parse_claims
from mezzotint.study.cost import estimate_seconds, measure_rates
from mezzotint.study.evidence import Evidence
from mezzotint.study.finding import Finding
from mezzotint.study.measuring import StudyMetrics, read_picture
from mezzotint.study.outline import CompiledStudy, Cost, OpenModel
from mezzotint.study.report import CellSets, PageFacts, Plot, write
from mezzotint.study.run import ModelWork, RunOutcome, Say, plan_work, run
from mezzotint.study.spec import Study
from mezzotint.study.table import Row, StudyTable
from mezzotint.study.verdicts import judge


@dataclass(frozen=True)
class StudyResult:
    """What a study found, and how."""

    table: StudyTable
    outcome: RunOutcome
    sets: tuple[CellSets, ...]
    seconds: float


class StudyRunner:
    """A study with all that it needs open. MezzotintError tells all that is wrong with it, before any work.

    with Store.open("store") as store: result = StudyRunner(Study.read(path), store).run()

    `store`: where the pictures are kept, or what opens it, which is then done after all checks.
    """

    def __init__(
        self, study: Study, store: Store | Callable[[], Store], opened: OpenModel | None = None
    ) -> None:
        self.study, self._store = study, store
        self.plots = _read_plots(study)
        self.claims = parse_claims(study)
        self.measuring = StudyMetrics(study)
        if any(isinstance(claim, DifferentSeeds) and claim.by is None for claim in self.claims):
            self.measuring.context.pair("judge")  # before any work: it may be missing
        self.outline = CompiledStudy(
            study, opened or partial(models.open_model, dtype=study.precision), self.measuring.companions
        )

    @cached_property
    def store(self) -> Store:
        """Where the pictures are kept."""
        return self._store if isinstance(self._store, Store) else self._store()

    @cached_property
    def work(self) -> list[ModelWork]:
        """What is missing, and what it costs; the first time on a machine, its speed is measured."""
        return plan_work(self.outline, self.store)

    def summary(self) -> list[str]:
        """What there is to do, in three lines: pictures, network calls, time."""
        cost, seconds = self._missing, sum(item.seconds for item in self.work)
        cells, seeds = len(self.outline.cells), len(self.study.seed_list)
        beside = self.outline.pictures - cells * seeds
        compared = f", and {beside} to compare with" if beside else ""
        return [
            f"{self.outline.pictures} pictures: {cells} cells x {seeds} seeds{compared}; {cost.pictures} are missing",
            f"{cost.evaluations} network evaluations, {cost.rows} rows; shared beginnings save {cost.spared} evaluations",
            f"about {duration(seconds)} on this machine",
        ]

    @property
    def _missing(self) -> Cost:
        return sum((item.cost for item in self.work), Cost())

    def run(self, minutes: float = 0.0, say: Say = lambda line: None) -> StudyResult:
        """Draw what is missing, within so many minutes (0: any), and measure what is there.

        After a signal nothing is measured; `outcome.code` is then what the process should end with.
        """
        began = monotonic()
        outcome = run(self.work, self.store, minutes, say, self.study.name)
        if outcome.code:
            return StudyResult(StudyTable(()), outcome, (), monotonic() - began)
        table = self.measuring(self.outline, self.store, say)
        return StudyResult(table, outcome, tuple(self.measuring.sets(table, self.store)), monotonic() - began)

    def findings(self, table: StudyTable) -> tuple[Finding, ...]:
        """What the numbers say about each claim of the study."""
        if any("cost" in (getattr(c, "metric", ""), getattr(c, "equal", "")) for c in self.claims):
            table = table.with_metrics(self._costs(table))
        evidence = Evidence(self.study, table, self.picture, self._features)
        return tuple(judge(claim, evidence) for claim in self.claims)

    def _costs(self, table: StudyTable) -> dict[str, dict[str, float]]:
        """Seconds that each picture takes by this machine's rates: no company, and no other work, counts."""
        plans = {
            part.key(replace(part.cells[i].request, seed=seed)): (part, i)
            for part in self.outline.parts
            for i in range(len(part.places))
            for seed in self.study.seed_list
        }
        costs: dict[tuple[str, int], float] = {}
        for part, i in plans.values():
            if (part.name, i) not in costs:
                plan, request = part.plans[i], part.cells[i].request
                costs[part.name, i] = estimate_seconds(
                    [plan], plan.rows, measure_rates(part.network, part.mode, request)
                )
        at = {key: costs[part.name, i] for key, (part, i) in plans.items()}
        return {row.key: {"cost": at[row.key]} for row in table}

    def write_page(self, answer: StudyResult, out: Path, command: str = "") -> Path:
        """Write the page of an answer, with its tables, into a folder; returns its path."""
        about = PageFacts(
            title=self.study.name or "study",
            question=self.study.question,
            command=command,
            began=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            facts=self._facts(),
            cost=self._cost(answer),
            findings=self.findings(answer.table),
        )
        return write(out, answer.table, about, self.picture, self.plots, answer.sets)

    def picture(self, row: Row) -> Image.Image:
        """Of a row of the table. DataError where it is damaged or gone."""
        return read_picture(self.store, row.key).image

    def _features(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        return self.measuring.context.pair("judge").embed_images(images)

    def _facts(self) -> dict[str, object]:
        models = {
            f"model {part.name}": f"{part.network.digest[:12]}, {precision_of(part.network)}, {part.mode}"
            for part in self.outline.parts
        }
        about = machine()
        return {**models, **{f"version of {n}": v for n, v in about.pop("versions").items()}, **about}

    def _cost(self, answer: StudyResult) -> dict[str, object]:
        cost = self._missing
        return {
            "pictures in all": self.outline.pictures,
            "drawn in this run": answer.outcome.made,
            "network evaluations of this run": cost.evaluations,
            "rows of this run": cost.rows,
            "evaluations saved by shared beginnings": cost.spared,
            "time of this run": duration(answer.seconds),
        }


def _read_plots(study: Study) -> tuple[Plot, ...]:
    """The plots of a study. ConfigError for what no table of it has."""
    known: dict[str, Callable[[], list[str]]] = {
        "metric": lambda: [*study.metrics, "evaluations", "seconds"],
        "over": lambda: list(study.axis_names),
        "by": lambda: [*study.axis_names, "model"],
    }
    for plot in study.plots:
        for word, value in plot.items():
            if word not in known:
                raise ConfigError(f"a plot has no {word!r}; it has metric, over and by{nearest(word, known)}")
            if value not in known[word]():
                names = known[word]()
                raise ConfigError(
                    f"a plot's {word} is {value!r}, which this study has not{nearest(str(value), names)}"
                )
        if not {"metric", "over"} <= set(plot):
            raise ConfigError("a plot needs a metric and an axis: {metric: NAME, over: AXIS}")
    return tuple(Plot(**plot) for plot in study.plots)
