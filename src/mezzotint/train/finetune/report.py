"""`report.html` of a run: what was asked, how it went, and what the samples look like, from the files in its folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import yaml

from mezzotint.files import write_atomic
from mezzotint.pages.figures import COLORS, Figure, Series, smooth, svg
from mezzotint.pages.layout import figure, numbers, page, section, sheet, table

_PER_PAGE = 12
"""Epochs whose sheets are shown; of more, these many spread over the run."""
LEARNED = "watch/learned.png"
"""Where in a run's folder the sheet of learned pictures is."""
_WIDE, _HALF = (880, 280), (430, 260)  # pixels
BIN = "the tenths of the times, 0 the cleanest"


@dataclass(frozen=True)
class RunRecord:
    """What the files of a run say. `lines`: of its log, the last of each step and kind; `facts`: of about.json."""

    folder: Path
    facts: Mapping[str, Any]
    settings: Mapping[str, Any]
    lines: Sequence[Mapping[str, float]]

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """From a run's folder, finished or not; what is not there yet is empty."""
        facts, settings = folder / "about.json", folder / "config.yaml"
        return cls(
            folder,
            json.loads(facts.read_text()) if facts.exists() else {},
            (yaml.safe_load(settings.read_text()) or {}) if settings.exists() else {},
            _lines(folder / "log.jsonl"),
        )

    def curve(self, key: str) -> tuple[list[float], list[float]]:
        """(epochs, values) of what the log calls so."""
        points = [(self._epoch(line), float(line[key])) for line in self.lines if key in line]
        return [x for x, _ in points], [y for _, y in points]

    def last(self, key: str) -> float | None:
        """The newest value."""
        return next((float(line[key]) for line in reversed(self.lines) if key in line), None)

    def first(self, key: str) -> float | None:
        """The oldest value."""
        return next((float(line[key]) for line in self.lines if key in line), None)

    @property
    def unit(self) -> str:
        """Of the horizontal axis."""
        return "epoch" if self.facts.get("steps_per_epoch") else "step"

    def _epoch(self, line: Mapping[str, float]) -> float:
        return float(line["step"]) / float(self.facts.get("steps_per_epoch") or 1)

    def sheets(self, kind: str) -> list[tuple[int, Path]]:
        """(epoch, file) of the sheets of `raw` or `ema` weights."""
        found = sorted((self.folder / "samples").glob(f"epoch-*-{kind}.png"))
        return [(int(path.name.split("-")[1]), path) for path in found]


def _lines(path: Path) -> list[Mapping[str, float]]:
    """After a kill, steps are logged once more: the later line counts. A torn last line is left out."""
    found: dict[tuple[float, bool], Mapping[str, float]] = {}
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
            found[float(line["step"]), "val_loss" in line] = line
        except (ValueError, KeyError, TypeError):
            continue
    return [found[key] for key in sorted(found)]


def write_report(folder: Path) -> Path:
    """Write the page anew; returns its path."""
    run = RunRecord.read(folder)
    path = folder / "report.html"
    write_atomic(path, html(run).encode())
    return path


def html(run: RunRecord) -> str:
    """The page."""
    facts = run.facts
    title = str(facts.get("title") or f"Training in {run.folder.name}")
    return page(
        title,
        _lead(run),
        numbers(_numbers(run)),
        section("What was asked", _command(facts), table(_settings_facts(facts))),
        section("Loss", *_loss(run), note=_pairs(facts)),
        section("Old and new", _kid(run), note=_kid_note(facts)),
        section("Samples", *_samples(run, "ema", _learned(run)), note=_seeds(facts)),
        section("Samples of the last weights, not averaged", *_samples(run, "raw")),
        section("Pace", f'<div class="two">{"".join(_pace(run))}</div>' if run.lines else ""),
        section("All settings", table(run.settings)),
    )


def _lead(run: RunRecord) -> str:
    last = run.lines[-1]["step"] if run.lines else 0
    steps = run.facts.get("steps")
    done = f"{last:,.0f} of {steps:,} steps" if steps else f"{last:,.0f} steps"
    return ", ".join(filter(None, (str(run.facts.get("what", "")), done, str(run.facts.get("began", "")))))


def _numbers(run: RunRecord) -> Iterator[tuple[str, str, str]]:
    for key, name in (
        ("val_loss", "validation loss"),
        ("kid_new", "KID to the new pictures"),
        ("kid_old", "KID to the model before"),
    ):
        first, last = run.first(key), run.last(key)
        if first is not None and last is not None:
            yield name, f"{last:.4f}", f"from {first:.4f}{_change(first, last) if key != 'kid_old' else ''}"
    if (pace := run.last("samples_per_s")) is not None:
        yield "samples a second", f"{pace:.1f}", _share(run.last("network_share"))


def _change(first: float, last: float) -> str:
    return f", {100 * (last - first) / first:+.0f} %" if first > 0 else ""


def _share(share: float | None) -> str:
    return f"{100 * share:.0f} % of the time in the network" if share is not None else ""


def _command(facts: Mapping[str, Any]) -> str:
    return f"<pre>{escape(str(facts['command']))}</pre>" if facts.get("command") else ""


def _settings_facts(facts: Mapping[str, Any]) -> dict[str, object]:
    names = ("model", "data", "learned", "judge", "result", "machine", "versions")
    return {name: facts.get(name) for name in names}


def losses(run: RunRecord) -> list[Series]:
    """The curves of training, and of validation where there is one."""
    x, y = run.curve("loss")
    series = [
        Series("training", x, y, "faint", COLORS[0]),
        Series("smoothed", x, smooth(y), "line", COLORS[0]),
    ]
    val = run.curve("val_loss")
    return [*series, Series("validation", *val, "dots", COLORS[1])] if val[0] else series


def _loss(run: RunRecord) -> Iterator[str]:
    series = losses(run)
    if series[0].y:
        yield figure("", svg(Figure(series, run.unit), *_WIDE))
    bins = [(index, *run.curve(f"val_loss_t{index}")) for index in range(10)]
    profile = list(_profiles(run))
    parts = []
    if len(profile) > 1:
        parts.append(figure("Validation loss by time", svg(Figure(profile, BIN, log=True), *_HALF)))
    shown = [Series(f"tenth {index}", x, y, "line") for index, x, y in bins[1::3] if len(x) > 1]
    if shown:
        relative = [s._replace(y=[value / s.y[0] for value in s.y]) for s in shown if s.y[0]]
        parts.append(figure("The same, against the start", svg(Figure(relative, run.unit), *_HALF)))
    if parts:
        yield f'<div class="two">{"".join(parts)}</div>'


def _profiles(run: RunRecord) -> Iterator[Series]:
    """The error by time, at the start, in the middle and at the end."""
    measured = [line for line in run.lines if "val_loss_t0" in line]
    chosen = sorted({0, len(measured) // 2, len(measured) - 1}) if measured else []
    for index in chosen:
        line = measured[index]
        there = [b for b in range(10) if f"val_loss_t{b}" in line]
        name = f"{run.unit} {run._epoch(line):.3g}"
        yield Series(
            name,
            there,
            [line[f"val_loss_t{b}"] for b in there],
            "dots",
            COLORS[index and (1 + (index == chosen[-1]))],
        )


def _kid(run: RunRecord) -> str:
    series = [
        Series(name, *run.curve(key), "dots", color)
        for key, name, color in (
            ("kid_new", "to the new pictures", COLORS[0]),
            ("kid_old", "to samples of the model as it was", COLORS[1]),
        )
    ]
    return figure("", svg(Figure(series, run.unit, zero=True), *_WIDE)) if series[0].x else ""


def _kid_note(facts: Mapping[str, Any]) -> str:
    counts = facts.get("kid")
    if not counts:
        return ""
    return (
        f"Kernel inception distance, unbiased, cubic kernel, in the features of {counts['judge']}: {counts['samples']} samples "
        f"an epoch against {counts['new']} new pictures and {counts['old']} samples of the model before. Between the new and the "
        f"old it is {counts['between']:.4f}; 0 means alike, and the estimate may fall below."
    )


def _pairs(facts: Mapping[str, Any]) -> str:
    pairs = facts.get("pairs")
    return f"Validation: {pairs}." if pairs else ""


def _learned(run: RunRecord) -> list[str]:
    """The pictures that are learned, as a sheet beside those of samples."""
    path, data = run.folder / LEARNED, run.facts.get("data") or {}
    count = f"{data['learned']} in all" if "learned" in data else ""
    return [sheet(path, "pictures that are learned", count)] if path.exists() else []


def _samples(run: RunRecord, kind: str, first: Sequence[str] = ()) -> Iterator[str]:
    """Cards of the sheets, behind `first`."""
    found = run.sheets(kind)
    if not found and not first:
        return
    if len(found) > _PER_PAGE:
        places = {round(i * (len(found) - 1) / (_PER_PAGE - 1)) for i in range(_PER_PAGE)}
        found = [found[place] for place in sorted(places)]
    cards = [
        sheet(path, f"epoch {epoch}" if epoch else "before", _beside(run, epoch) if kind == "ema" else "")
        for epoch, path in found
    ]
    yield f'<div class="sheets">{"".join([*first, *cards])}</div>'


def _beside(run: RunRecord, epoch: int) -> str:
    """The distance to the new pictures at that epoch."""
    per = run.facts.get("steps_per_epoch") or 1
    line = next((one for one in run.lines if one["step"] == epoch * per and "kid_new" in one), None)
    return f"KID {line['kid_new']:.4f}" if line else ""


def _seeds(facts: Mapping[str, Any]) -> str:
    prompts = facts.get("prompts")
    told = f" Prompts, in rows: {'; '.join(prompts)}." if prompts else ""
    return f"The same seeds at every epoch, averaged weights.{told}"


def _pace(run: RunRecord) -> Iterator[str]:
    for key, name, zero in (
        ("lr", "Learning rate", True),
        ("grad_norm", "Norm of the gradient", True),
        ("samples_per_s", "Samples a second", True),
        ("network_share", "Share of the time in the network", True),
    ):
        x, y = run.curve(key)
        if x:
            yield figure(name, svg(Figure([Series("", x, y)], run.unit, zero=zero), *_HALF))
