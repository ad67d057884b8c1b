"""Studies: one file with base options and axes; every combination is a run of its own, compared in one page."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from mezzotint.axes import cross, parse_axis
from mezzotint.config import settings_in
from mezzotint.errors import ConfigError, MezzotintError, nearest
from mezzotint.files import write_atomic
from mezzotint.precision import FORMER_KEYS, with_precision
from mezzotint.train.finetune.config import FinetuneConfig, dump_settings, parse_settings

_PARTS = ("base", "axes")
MOST = 200
"""Runs of one file."""


def combinations(file: Path, base: Mapping[str, Any]) -> dict[str, FinetuneConfig]:
    """Run by name, such as `lr=1e-05 lora=8`; `base` goes before the file's. ConfigError before any work."""
    found = settings_in(file)
    for key in found:
        if key not in _PARTS:
            raise ConfigError(
                f"{file}: unknown part {key!r}; a study has base and axes{nearest(key, _PARTS)}"
            )
    axes = _axes(file, _present(found.get("axes")))
    shared = found.get("base") or {}
    if not isinstance(shared, dict):
        raise ConfigError(f"{file}: base should hold a table of settings")
    runs = {}
    for chosen in cross([{key: values} for key, values in axes.items()]):
        name = " ".join(f"{key}={_short(value)}" for key, value in chosen.items())
        settings = {**with_precision(shared), **with_precision(base), **with_precision(chosen)}
        settings["out"] = Path(settings.get("out") or "runs/study") / _slug(name)
        runs[name] = parse_settings(settings, str(file))
    count = math.prod(map(len, axes.values()))
    if len({config.out for config in runs.values()}) < count or count > MOST:
        raise ConfigError(f"{file}: {count} runs; name at most {MOST}, each value of an axis once")
    return runs


def _present(axes: Any) -> Any:
    """The axes by their present names: `mixed_precision` has become `precision`."""
    if not isinstance(axes, dict):
        return axes
    return {"precision" if key in FORMER_KEYS else key: values for key, values in axes.items()}


def _axes(file: Path, axes: Any) -> dict[str, list[Any]]:
    if not isinstance(axes, dict) or not axes:
        raise ConfigError(
            f"{file}: axes should name settings, each with a list of values, such as lr: [1e-5, 1e-4]"
        )
    found = {}
    for key, values in axes.items():
        if key not in FinetuneConfig.model_fields:
            raise ConfigError(
                f"{file}: unknown setting {key!r} in axes{nearest(key, FinetuneConfig.model_fields)}"
            )
        if isinstance(values, str):
            try:
                values = parse_axis(values, whole=FinetuneConfig.model_fields[key].annotation is int)
            except ConfigError as error:
                raise ConfigError(f"{file}: axis {key}: {error}") from error
        if not isinstance(values, list) or not values or key == "out":
            raise ConfigError(f"{file}: axis {key} should be a list of values, or a range such as 1..20")
        found[key] = values
    return found


def _short(value: Any) -> str:
    return (
        f"{value:g}"
        if isinstance(value, float)
        else "-".join(map(str, value))
        if isinstance(value, list)
        else str(value)
    )


def _slug(name: str) -> str:
    return re.sub(r"[^\w.=+-]+", "_", name)


def run_grid(
    runs: Mapping[str, FinetuneConfig],
    jobs: int,
    begin: Callable[[FinetuneConfig], object],
    say: Callable[[str], None],
) -> list[str]:
    """Begin or go on with every run, in this process one after the other or in several; returns those that failed."""
    if jobs == 1:
        tried = [_try_run(name, config, begin, say) for name, config in runs.items()]
    else:
        with ThreadPoolExecutor(jobs) as pool:
            tried = list(pool.map(lambda name: _try_run(name, runs[name], _apart, say), runs))
    return [name for name, failed in zip(runs, tried, strict=True) if failed]


def _try_run(
    name: str, config: FinetuneConfig, begin: Callable[[FinetuneConfig], object], say: Callable[[str], None]
) -> bool:
    """Whether it failed; the others go on."""
    say(f"{name}: {config.out}")
    try:
        begin(config)
    except MezzotintError as error:
        say(f"error: {name}: {error}")
        return True
    return False


def _apart(config: FinetuneConfig) -> None:
    """In a process of its own, which Ctrl-C reaches too; what it says goes to a file in the run's folder."""
    config.out.parent.mkdir(parents=True, exist_ok=True)
    file = config.out.with_name(f"{config.out.name}.yaml")
    write_atomic(file, yaml.safe_dump(dump_settings(config), sort_keys=False).encode())
    with config.out.with_name(f"{config.out.name}.txt").open("w") as said:
        words = [sys.executable, "-m", "mezzotint", "finetune", "--config", str(file)]
        code = subprocess.run(words, stdout=said, stderr=subprocess.STDOUT, check=False).returncode
    if code:
        raise MezzotintError(f"ended with {code}; see {said.name}")
