"""A search from its study to its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic

from mezzotint import models
from mezzotint.errors import ConfigError, DataError
from mezzotint.files import key_of
from mezzotint.store import Store
from mezzotint.study.outline import OpenModel
from mezzotint.study.run import Say
from mezzotint.study.spec import Study
from mezzotint.study.tune.drawing import SettingEvaluator
from mezzotint.study.tune.goal import Goal
from mezzotint.study.tune.halving import FIRST, HalvingResult, halve
from mezzotint.study.tune.space import Point, Space, base_of
from mezzotint.study.tune.trials import Trials

FILE = "trials.log"


@dataclass(frozen=True)
class SearchResult:
    """What a search found, with all that pages and tables of it need."""

    study: Study
    goal: Goal
    space: Space
    ladder: HalvingResult
    drawing: SettingEvaluator
    base: Point | None
    trials: int
    seconds: float
    folder: str


class Search:
    """A search with all that it needs open. MezzotintError tells all that is wrong with it, before any work.

    The settings that it asks are kept in `folder`, its pictures in the store. `store`: that, or what opens it, which is
    then done after all checks.
    """

    def __init__(
        self,
        study: Study,
        goal: Goal,
        store: Store | Callable[[], Store],
        folder: Path,
        opened: OpenModel | None = None,
        minutes: float = 0.0,
        say: Say = lambda line: None,
    ) -> None:
        if len(study.seed_list) < 2:
            raise ConfigError("settings are compared seed by seed; give at least 2 seeds")
        self.study, self.goal, self._say = study, goal, say
        self.space = Space.of(study)
        self.base = base_of(study, self.space)
        self.drawing = SettingEvaluator(
            study,
            goal,
            self.space,
            store,
            opened or partial(models.open_model, dtype=study.precision),
            minutes,
            say,
        )
        self._file = folder / FILE

    def __call__(self, trials: int) -> SearchResult:
        """Search among so many settings. DataError where nothing can be compared."""
        began, seeds = monotonic(), len(self.study.seed_list)
        count = min(trials, self.space.size or trials)
        asks = Trials(self._file, self._name, self.space, self.goal.higher, self.base)
        ladder = halve(asks, self.drawing, self.goal, count, seeds, self.base, self._say)
        if not ladder.stopped and not any(self._has_values(ladder)):
            raise DataError(f"no setting has a {self.goal.metric}; {self._why()}")
        took, folder = monotonic() - began, str(self._file.parent)
        return SearchResult(
            self.study, self.goal, self.space, ladder, self.drawing, self.base, count, took, folder
        )

    def _has_values(self, ladder: HalvingResult) -> list[bool]:
        found = [setting.seen.values[self.goal.metric] for setting in ladder.whole if setting.seen]
        return [bool((values == values).any()) for values in found]

    def _why(self) -> str:
        failed = next(iter(self.drawing.failed), "")
        return (
            failed
            or "it is defined for no picture of this study, as where a prompt names nothing to look for"
        )

    @property
    def _name(self) -> str:
        """Of the question: another one has other trials in the same file."""
        asked = self.study.model_dump(
            mode="json", exclude={"name", "question", "seeds", "metrics", "plots", "claims", "folder"}
        )
        digests = sorted(network.digest for network in self.drawing.models.values())
        return key_of(asked, digests, str(self.goal), list(self.study.seed_list[:FIRST]))
