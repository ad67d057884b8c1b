"""Steps a second of our training loop and of the plain loop of diffusers' example script, in turn, in one run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO, Any

import numpy as np

from mezzotint.bench.diffusers_baseline import require_packages
from mezzotint.bench.timing import alternate
from mezzotint.errors import ConfigError, MezzotintError, nearest
from mezzotint.machine import machine

Say = Callable[[str], None]
PLAIN = Path(__file__).with_name("diffusers_training.py")
_SOURCE = str(Path(__file__).parents[2])
BAR = 1.2
PRECISIONS = ("bf16", "fp32")
SIZE = 64
FACES = {
    "sample_size": SIZE, "block_out_channels": [32, 64, 96, 160], "layers_per_block": 1, "norm_num_groups": 16,
    "attention_head_dim": 32,
    "down_block_types": ["DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D"],
}  # fmt: skip
"""The network of `faces`."""


@dataclass(frozen=True)
class TrainingSettings:
    """What is measured. Both sides have AdamW, an average of the weights and clipped gradients."""

    batch: int = 4
    accumulate: int = 1
    rounds: int = 6
    steps: int = 5
    """Of each side in each round."""
    precision: str = "bf16"
    """Or fp32."""
    threads: int = 1
    warm_ups: int = 3
    pictures: int = 256

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            hint = nearest(self.precision, PRECISIONS)
            raise ConfigError(f"precision is {self.precision!r}; it can be {' or '.join(PRECISIONS)}{hint}")


def run_training(settings: TrainingSettings, say: Say = lambda _: None) -> dict[str, Any]:
    """Seconds of both in turn, and how many times as many steps a second ours makes (medians; processor time beside)."""
    require_packages()
    with ExitStack() as open_:
        folder = Path(open_.enter_context(tempfile.TemporaryDirectory(prefix="mezzotint-bench-")))
        file = folder / "pictures.npy"
        shape = (settings.pictures, SIZE, SIZE, 3)
        np.save(file, np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
        say("starting both")
        ours = open_.enter_context(_side(["-m", "mezzotint.bench.training_side"], file, settings))
        theirs = open_.enter_context(_side([str(PLAIN)], file, settings))
        for side in (ours, theirs):
            side(settings.warm_ups)
        say(f"{settings.rounds} rounds of {settings.steps} steps of each in turn")
        pairs, mine, plain = alternate(
            lambda _: ours(settings.steps), lambda _: theirs(settings.steps), settings.rounds
        )
    return _report(settings, [made[0] for made in mine], [made[0] for made in plain]) | {
        "processor_ratio": median(made[1] for made in plain) / median(made[1] for made in mine),
        "seconds": pairs.to_dict(),
    }


def _report(settings: TrainingSettings, ours: list[float], theirs: list[float]) -> dict[str, Any]:
    ratio = median(theirs) / median(ours)
    return {
        "machine": machine(),
        "settings": vars(settings),
        "mezzotint_steps_per_s": settings.steps / median(ours),
        "diffusers_steps_per_s": settings.steps / median(theirs),
        "ratio_of_medians": ratio,
        "paired_ratios": sorted(b / a for a, b in zip(ours, theirs, strict=True)),
        "bar": {"at_least": BAR, "holds": ratio >= BAR},
    }


@contextmanager
def _side(
    words: list[str], file: Path, settings: TrainingSettings
) -> Iterator[Callable[[int], tuple[float, float]]]:
    """A process that makes so many steps and says how long they took: (seconds, processor seconds)."""
    numbers = (settings.batch, settings.accumulate, settings.precision, settings.threads)
    path = os.pathsep.join([_SOURCE, *filter(None, [os.environ.get("PYTHONPATH")])])
    threads = {"OMP_NUM_THREADS": str(settings.threads), "PYTHONPATH": path}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", *words, json.dumps(FACES), str(file), *map(str, numbers)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, env=os.environ | threads,
        )  # fmt: skip
        with process:
            assert process.stdin and process.stdout
            _answer(process.stdout, said, words[-1])

            def make(steps: int) -> tuple[float, float]:
                assert process.stdin and process.stdout
                process.stdin.write(f"{steps}\n")
                process.stdin.flush()
                seconds, cpu, *_ = map(float, _answer(process.stdout, said, words[-1]).split())
                return seconds, cpu

            yield make
            process.stdin.close()


def _answer(stdout: IO[str], said: IO[str], what: str) -> str:
    """MezzotintError with the last line that the process wrote, where it has ended."""
    if line := stdout.readline():
        return line
    said.seek(0)
    last = (said.read().strip() or "no message").splitlines()[-1]
    raise MezzotintError(f"bench-training: {what} ended: {last}")
