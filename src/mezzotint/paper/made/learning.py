"""The new pictures of a fine-tuning, drawn by a bundled model, and the runs that learn them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mezzotint.errors import ConfigError, ModelError
from mezzotint.extras import install
from mezzotint.files import write_atomic
from mezzotint.models import Model
from mezzotint.paper.made.drawn import pictures, scenes
from mezzotint.paper.section import PaperSettings, open_cached

Floats = NDArray[np.float64]
JUDGE, SAMPLER, DRAW_STEPS = "judge", "dpmpp-2m", 12
SAME: dict[str, Any] = {
    "size": None,
    "judge": JUDGE,
    "sampler": SAMPLER,
    "sample_steps": DRAW_STEPS,
    "held": 0.2,
    "log_every": 4,
    "baseline": True,
}
QUICK: dict[str, Any] = {
    "epochs": 3, "repeats": 4, "lr": 1e-4, "batch": 4, "accumulate": 2, "ema": 0.9, "measured": 24, "shown": 8
}  # fmt: skip
FULL: dict[str, Any] = {
    "epochs": 10, "repeats": 4, "lr": 1e-4, "batch": 4, "accumulate": 2, "ema": 0.98, "measured": 64, "shown": 16
}  # fmt: skip
GRID: dict[str, list[Any]] = {
    "lr": [1e-4, 4e-4], "batch": [4, 8], "accumulate": [1, 4], "schedule": ["linear", "cosine"]
}  # fmt: skip
PICTURES = 48


def new_pictures(setting: PaperSettings) -> Path:
    """A folder of butterflies before a blue background, which the text model drew; the report's came from a hub."""
    folder = setting.folder / "fine-tuning" / "butterflies"
    if len(list(folder.glob("*.png"))) == PICTURES:
        return folder
    network = open_cached(setting.text_model, setting.precision)
    if not isinstance(network, Model):
        raise ModelError(f"{network.name} reads no text; name a text-to-image model")
    setting.say(f"{network.name}: {PICTURES} pictures to learn")
    folder.mkdir(parents=True, exist_ok=True)
    asked = scenes(PICTURES, 16, things=("butterfly",), colors=("blue",))
    for picture in pictures(setting, network, asked):
        picture.save(folder / f"{picture.request.seed:03d}.png")
    return folder


def settings(setting: PaperSettings, data: Path) -> dict[str, Any]:
    """Of a run, without its folder."""
    chosen = (
        SAME
        | (QUICK if setting.quick else FULL)
        | {
            "model": setting.pixel_model,
            "data": str(data),
            "precision": setting.precision,
        }
    )
    return chosen if has_judge() else chosen | {"measured": 0}


def has_judge() -> bool:
    """Whether the pair is here in whose features distances are taken."""
    from mezzotint.models.image_text import ImageText

    try:
        ImageText.open(JUDGE)
    except ModelError:
        return False
    return True


def run(setting: PaperSettings, data: Path) -> Path:
    """Learn, or go on where it stopped; returns the run's folder."""
    train = _training()
    out = setting.folder / "fine-tuning" / ("run-quick" if setting.quick else "run")
    config = train.asked({**settings(setting, data), "out": out})
    setting.say(f"{setting.pixel_model} learns {data.name}: {out}")
    train.finetune(config, ["paper", "--only", "fine-tuning"])
    return out


def held_out(setting: PaperSettings, data: Path, model: str) -> Floats:
    """(n,) squared errors of a model at the fixed pairs of time and noise that runs are validated on, in float32."""
    train = _training()
    unused = setting.folder / "fine-tuning" / "none"  # a run's folder is asked for, and nothing is put there
    found = train.ready(train.asked({**settings(setting, data), "model": model, "out": unused}))
    counts = len(found.data.learned), len(found.data.held)
    fixed = train.task(found.config, found.subject, *counts, None).fixed
    return np.asarray(fixed.errors(found.subject.ask, found.subject.module.eval()), np.float64)


def grid(setting: PaperSettings, data: Path) -> dict[str, Path]:
    """A run for each combination of GRID; returns their folders by name. Two epochs each."""
    import yaml

    from mezzotint.train.finetune.grid import combinations, run_grid
    from mezzotint.train.finetune.report_grid import write_grid

    train = _training()
    folder = setting.folder / "fine-tuning" / "grid"
    folder.mkdir(parents=True, exist_ok=True)
    base = {**settings(setting, data), "epochs": 2, "out": str(folder)}
    base = {name: value for name, value in base.items() if name not in GRID}
    write_atomic(folder / "grid.yaml", yaml.safe_dump({"base": base, "axes": GRID}).encode())
    runs = combinations(folder / "grid.yaml", {})
    folders = {name: config.out for name, config in runs.items()}
    failed = run_grid(
        runs, 1, lambda config: train.finetune(config, ["paper", "--only", "fine-tuning"]), setting.say
    )
    write_grid(folder, folders)
    return {name: path for name, path in folders.items() if name not in failed}


class _Training:
    """What is needed of training, which asks for torch and more."""

    def __init__(self) -> None:
        from mezzotint.train.finetune.config import parse_settings
        from mezzotint.train.finetune.run import finetune, prepare
        from mezzotint.train.finetune.task import FinetuneTask

        self.asked, self.finetune, self.ready, self.task = parse_settings, finetune, prepare, FinetuneTask


def _training() -> _Training:
    try:
        return _Training()
    except ImportError as error:
        raise ConfigError(f"fine-tuning needs {error.name}; {install('train')}") from None
