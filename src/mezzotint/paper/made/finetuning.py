"""Figures 2 to 4: fine-tuning on new pictures: samples by epoch, the loss, and settings varied."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.models import open_model
from mezzotint.pages.figures import COLORS, Figure, Series, svg
from mezzotint.pages.layout import details, figure, sheet, table, wide
from mezzotint.paper.made import learning
from mezzotint.paper.made.drawing import Tile, side_by_side, tiles
from mezzotint.paper.made.drawn import pictures
from mezzotint.paper.made.making import SectionParts
from mezzotint.paper.made.verdicts import below
from mezzotint.paper.section import PaperSettings, open_cached
from mezzotint.picture import Picture
from mezzotint.request import Request
from mezzotint.stats import holm, interval, sign_flip
from mezzotint.study.finding import Finding, seeds_needed
from mezzotint.train.finetune.report import RunRecord, losses

Floats = NDArray[np.float64]
SIGNED = 6  # pairs: with 5 no sign test reaches 5 %
VARIED = "What is varied (noise schedule, accumulation, learning rate, batch) changes the result"


def finetuning(setting: PaperSettings) -> SectionParts:
    """Learn, look, and judge; without `quick` the grid too."""
    data = learning.new_pictures(setting)
    run = RunRecord.read(learning.run(setting, data))
    before, after = _samples(setting, run.folder, 32 if setting.quick else 128)
    html = _new(data) + _sheets(run) + _curves(run) + _settings_html(run)
    findings = [_kid_finding(run, before, after), _loss_finding(setting, run, data)]
    if setting.quick:
        findings.append(
            Finding(VARIED, "undecided", "not measured: the grid of settings runs without --quick", "report")
        )
    else:
        runs = {name: RunRecord.read(path) for name, path in learning.grid(setting, data).items()}
        html += _grid(runs)
        findings.append(_grid_finding(runs))
    return SectionParts(html, tuple(findings), _NOTES)


_NOTES = (
    "The new pictures are 48 butterflies before a blue background that the bundled text model drew, since none come with the "
    "package; the report took photographs from a hub. The learning rate is higher and the run shorter than the report's "
    "(AdamW 1e-5, batch 4, accumulation 2), so that the change can be seen in minutes; in a quick run samples leave the old "
    "pictures well before they are like the new.",
    "The judge's features were not made for butterflies: distances tell domains apart, not good butterflies from bad ones.",
)


def changes(before: Floats, after: Floats, new: Floats) -> Floats:
    """(n,) the change of KID to the new pictures, in pseudo-values of the jackknife over seeds (Tukey 1958): features (n, d).

    Their mean is the change, and their spread that of the estimate, which is no mean over samples itself.
    """
    from mezzotint.metrics import kid

    def change(kept: NDArray[np.intp]) -> float:
        return kid(after[kept], new) - kid(before[kept], new)

    n = len(before)
    every = np.arange(n)
    return np.array([n * change(every) - (n - 1) * change(np.delete(every, i)) for i in every])


def _samples(setting: PaperSettings, folder: Path, count: int) -> tuple[list[Picture], list[Picture]]:
    """Of the same seeds, before and after."""
    asked = [
        Request(seed=seed, steps=learning.DRAW_STEPS, sampler=learning.SAMPLER, guidance="none")
        for seed in range(1000, 1000 + count)
    ]
    networks = (
        open_cached(setting.pixel_model, setting.precision),
        open_model(folder / "model", dtype=setting.precision),
    )
    before, after = (pictures(setting, network, asked) for network in networks)
    return before, after


def _kid_finding(run: RunRecord, before: Sequence[Picture], after: Sequence[Picture]) -> Finding:
    claim = "Samples move to the new pictures"
    kept = run.folder / "watch" / "domains.safetensors"
    if not kept.exists():
        return Finding(claim, "undecided", "not measured: the pair that judges is not installed", "report")
    from safetensors.numpy import load_file

    new = np.asarray(load_file(kept)["new"])
    one, other = (_features([p.image for p in some]) for some in (before, after))
    kid = " to ".join(f"{value:.3f}" for value in (run.first("kid_new"), run.last("kid_new")) if value)
    what = f"change of KID to the new pictures by the same seeds (while learning, by others: {kid})"
    return below(claim, changes(one, other, new), 0, what, source="report")


def _features(images: Sequence[Image.Image]) -> Floats:
    from mezzotint.metrics import spread
    from mezzotint.models.image_text import ImageText

    return spread(ImageText.open(learning.JUDGE).embed_images(images))


def _loss_finding(setting: PaperSettings, run: RunRecord, data: Path) -> Finding:
    """By the error on pictures that were not learned, at the same times and noises."""
    models = (setting.pixel_model, str(run.folder / "model"))
    before, after = (learning.held_out(setting, data, model) for model in models)
    what = f"error on held-out pictures {before.mean():.4f} to {after.mean():.4f}; change"
    return below("The loss falls", after - before, 0, what, "pairs of time and noise", "report")


def _new(data: Path) -> str:
    shown = sorted(data.glob("*.png"))[:10]
    return tiles(
        [Tile(Image.open(path).resize((64, 64), Image.Resampling.LANCZOS)) for path in shown],
        "New pictures, as they are learned",
    )


def _sheets(run: RunRecord) -> str:
    """Before, after the first epoch, and at the end."""
    found = run.sheets("ema")
    chosen = dict([*found[:2], *found[-1:]])
    cards = [
        sheet(path, f"after epoch {epoch}" if epoch else "before", "the same seeds")
        for epoch, path in chosen.items()
    ]
    return f'<div class="sheets">{"".join(cards)}</div>'


def _curves(run: RunRecord) -> str:
    kid = [
        Series(name, *run.curve(key), "dots", color)
        for key, name, color in (
            ("kid_new", "to the new pictures", COLORS[0]),
            ("kid_old", "to the model before", COLORS[1]),
        )
    ]
    return side_by_side(
        figure("Loss", svg(Figure(losses(run), run.unit), 430, 260)),
        figure("KID of samples, by epoch", svg(Figure(kid, run.unit, zero=True), 430, 260)),
    )


def _settings_html(run: RunRecord) -> str:
    names = ("lr", "batch", "accumulate", "epochs", "repeats", "ema", "measured")
    shown = table({name: run.settings[name] for name in names} | {"steps": run.facts.get("steps")})
    return details("Settings", shown)


def _grid(runs: dict[str, RunRecord]) -> str:
    """Every combination with where it ended."""
    keys = ("val_loss", "kid_new", "kid_old")
    rows = [[name, *(_format(run.last(key)) for key in keys)] for name, run in runs.items()]
    head = ("settings", "validation loss", "KID to the new", "KID to the model before")
    return details(f"{len(rows)} settings varied", wide(head, rows))


def _format(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _grid_finding(runs: dict[str, RunRecord]) -> Finding:
    """The effect of each axis on KID to the new pictures, over all settings of the others; Holm's correction."""
    effects = {axis: _effect(runs, axis) for axis in learning.GRID}
    ps = holm([sign_flip(values) for values in effects.values()])
    told = [
        f"{axis} {interval(values).mean:+.3f} (p {p:.3g})"
        for (axis, values), p in zip(effects.items(), ps, strict=True)
    ]
    pairs = min(len(values) for values in effects.values())
    evidence = f"change of KID to the new pictures from the first to the second value, {pairs} pairs: {', '.join(told)}"
    if min(ps) < 0.05:
        return Finding(VARIED, "confirmed", evidence, "report")
    if pairs < SIGNED:
        return Finding(
            VARIED, "undecided", f"{evidence}; undecided: at least {SIGNED} pairs are needed", "report"
        )
    largest = max(map(interval, effects.values()), key=lambda one: abs(one.mean))
    return Finding(VARIED, "undecided", f"{evidence}; {seeds_needed(largest, [0], 'pairs')}", "report")


def _effect(runs: dict[str, RunRecord], axis: str) -> list[float]:
    """Differences of pairs of runs that differ in one axis alone."""
    first, second = learning.GRID[axis]
    found = []
    for one, other in combinations(runs.values(), 2):
        apart = {name for name in learning.GRID if one.settings[name] != other.settings[name]}
        ends = one.last("kid_new"), other.last("kid_new")
        if apart == {axis} and ends[0] is not None and ends[1] is not None:
            sign = 1 if (one.settings[axis], other.settings[axis]) == (first, second) else -1
            found.append(sign * (ends[1] - ends[0]))
    return found
