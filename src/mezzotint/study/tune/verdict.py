"""What a search has to say, in words and as data: the best setting, how sure it is, and what speaks against it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mezzotint.stats import Estimate, interval
from mezzotint.study.tune.certainty import Certainty, difference, rank
from mezzotint.study.tune.command import command
from mezzotint.study.tune.halving import TunedSetting
from mezzotint.study.tune.search import SearchResult
from mezzotint.study.tune.space import Point

_NAMED = 5  # settings named in a sentence


def format_point(point: Point) -> str:
    """`guidance.cfg.scale 4.2, steps 20`."""
    return ", ".join(f"{name} {'none' if value is None else value}" for name, value in point.items())


def format_interval(found: Estimate, sign: str = "", digits: int = 4) -> str:
    """`0.31 (0.29 to 0.33)`."""
    mean, low, high = (f"{value:{sign}.{digits}g}" for value in found[:3])
    return mean if math.isnan(found.low) else f"{mean} ({low} to {high})"


@dataclass(frozen=True)
class SettingSummary:
    """A setting as tables show it."""

    setting: TunedSetting
    mean: Estimate
    kept: dict[str, Estimate]  # of the metrics with bounds
    share: float
    within: float
    alike: bool
    best: bool


class SearchSummary:
    """Of what was found."""

    def __init__(self, found: SearchResult) -> None:
        self.found, self.goal = found, found.goal
        self.settings = found.ladder.whole
        self._seen = [setting.seen for setting in self.settings if setting.seen]

    @cached_property
    def sure(self) -> Certainty:
        """Of `settings`."""
        return self.found.ladder.certainty()

    @property
    def best(self) -> TunedSetting | None:
        """None where nothing is within the bounds, or nothing was finished."""
        return None if self.sure.best is None else self.settings[self.sure.best]

    @cached_property
    def advantage(self) -> Estimate | None:
        """Of the best over the base; None where there is no base, or it is the best."""
        base = self.found.ladder.base
        if self.sure.best is None or base is None or base is self.best:
            return None
        return difference(self._seen, self.sure.best, self.settings.index(base), self.goal.metric)

    @cached_property
    def lines(self) -> list[SettingSummary]:
        """All settings, those on most seeds first, by their means."""
        sign = -1 if self.goal.higher else 1
        made = [self._line(i) for i in range(len(self.settings))]
        return sorted(made, key=lambda line: (not line.best, -line.setting.rung, sign * line.mean.mean))

    def _line(self, i: int) -> SettingSummary:
        values, sure = self._seen[i].values, self.sure
        kept = {bound.metric: interval(values[bound.metric]) for bound in self.goal.bounds}
        mean = interval(values[self.goal.metric])
        return SettingSummary(
            self.settings[i], mean, kept, sure.shares[i], sure.within[i], i in sure.alike, i == sure.best
        )

    @property
    def command(self) -> str:
        """That draws with the best setting; "" where there is none."""
        if self.best is None:
            return ""
        study = self.found.study
        return command(self.cells, study.mode, study.seed_list[0], self.found.folder)

    @property
    def cells(self) -> list[Any]:
        """Of the best setting."""
        return self.found.drawing.cells(self.best.point) if self.best else []

    def sentences(self) -> list[str]:
        """In plain words."""
        return [*self._answer(), *self._doubts()]

    def _answer(self) -> Iterator[str]:
        if not self.settings:
            yield "Nothing is known yet: no setting is finished on the seeds of the first rung."
        elif self.best is None:
            bounds = " and ".join(map(str, self.goal.bounds))
            yield f"No setting keeps {bounds} on {max(s.seeds for s in self._seen)} seeds; loosen the bound, or search elsewhere."
        else:
            yield from self._of_best(self.best)

    def _of_best(self, best: TunedSetting) -> Iterator[str]:
        line = self.lines[0]
        yield (
            f"Best of {len(self.settings)} settings for {self.goal}: {format_point(best.point)}. "
            f"Mean {format_interval(line.mean)} on {line.mean.n} seeds; the best in {line.share:.0%} of draws over seeds."
        )
        alike = [format_point(self.settings[i].point) for i in self.sure.alike]
        more = f" and {len(alike) - _NAMED} more" if len(alike) > _NAMED else ""
        if len(alike) > 1:
            yield f"{len(alike)} settings are indistinguishable at 95 %: {'; '.join(alike[:_NAMED])}{more}."
        else:
            yield f"All others are worse{' or out of bounds' if self.goal.bounds else ''} at 95 %."
        yield self._against_base()

    def _against_base(self) -> str:
        base, gain = self.found.ladder.base, self.advantage
        if base is None:
            return "The study has no setting of its own on these axes to compare with."
        if gain is None:
            return f"It is the setting that the study has already ({format_point(base.point)})."
        verdict = "that could be chance" if gain.low <= 0 <= gain.high else "that is more than chance at 95 %"
        outside = base.seen is not None and rank(base.seen, self.goal)[0] > 0
        note = ", which is out of bounds" if outside else ""
        return f"Against the base setting ({format_point(base.point)}{note}): {format_interval(gain, '+')}; {verdict}."

    def _doubts(self) -> Iterator[str]:
        found = self.found
        if found.ladder.stopped:
            yield "The search was stopped before its end; the same command goes on from there."
        for axis in found.space.axes if self.best else ():
            value = self.best.point[axis.name] if self.best else None
            if not axis.values and value in axis.ends:
                yield f"{axis.name} {value} is the end of its range: look beyond it."
        if self.best and self.goal.bounds and self.lines[0].within < 0.95:
            yield f"It keeps {' and '.join(map(str, self.goal.bounds))} in {self.lines[0].within:.0%} of draws only."
        failed = [s for s in found.ladder.settings if s.seen is None]
        if failed:
            why = next(iter(found.drawing.failed), "")
            yield f"{len(failed)} settings failed ({format_point(failed[0].point)}: {why})."

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        gain = self.advantage
        return {
            "metric": self.goal.metric,
            "higher_is_better": self.goal.higher,
            "keep": [str(bound) for bound in self.goal.bounds],
            "best": self.best.point if self.best else None,
            "share": self.lines[0].share if self.best else None,
            "indistinguishable": [self.settings[i].point for i in self.sure.alike],
            "base": self.found.base,
            "advantage": gain._asdict() if gain else None,
            "said": self.sentences(),
            "command": self.command,
            "stopped": self.found.ladder.stopped,
            "rungs": [rung.__dict__ for rung in self.found.ladder.rungs],
            "settings": [self._record(line) for line in self.lines],
        }

    def _record(self, line: SettingSummary) -> dict[str, Any]:
        seen = line.setting.seen
        return {
            **line.setting.point,
            "seeds": line.mean.n,
            "mean": line.mean.mean,
            "low": line.mean.low,
            "high": line.mean.high,
            **{f"mean {name}": kept.mean for name, kept in line.kept.items()},
            "share": line.share,
            "within_bounds": line.within,
            "indistinguishable": line.alike,
            "base": line.setting.base,
            "values": seen.values[self.goal.metric].tolist() if seen else [],
        }
