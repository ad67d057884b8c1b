"""Stopped at any instant, by a signal that can be heard or by kill -9, the same command goes on to the same bits."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

STEPS, EPOCH = 40, 8
PACE = {"time", "seconds", "eta_s", "samples_per_s", "network_share"}


class Trainer:
    """Starts trainings in processes of their own."""

    def __init__(self, said: Path) -> None:
        self.said = said
        self.errors = said.open("w")
        self.server = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "support.tiny_task"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.errors, text=True, cwd=Path(__file__).parents[1], env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def start(self, folder: Path, **loop: Any) -> int:
        assert self.server.stdin and self.server.stdout
        asked = {"folder": str(folder), "steps": STEPS, "epoch": EPOCH, "save_minutes": 0, **loop}
        self.server.stdin.write(json.dumps(asked) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def ended(self) -> int:
        assert self.server.stdout
        return int(self.server.stdout.readline())


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    made = Trainer(tmp_path_factory.mktemp("trainer") / "said")
    yield made
    made.server.communicate(timeout=30)
    made.errors.close()


def result(folder: Path) -> dict[str, Any]:
    """All that a run leaves behind, but for how fast it went."""
    [*_, last] = sorted((folder / "checkpoints").iterdir())
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {
        "tensors": {k: v.numpy().tobytes() for k, v in load_file(last / "state.safetensors").items()},
        "facts": json.loads((last / "state.json").read_text()),
        "model": (folder / "model/model.json").read_text(),
        "log": [{k: v for k, v in line.items() if k not in PACE} for line in lines],
        "files": sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if "tensorboard" not in str(p)),
        "samples": {p.name: p.read_bytes() for p in (folder / "samples").iterdir()},
    }


def killed_and_whole(trainer: Trainer, folder: Path, kills: int, seed: int) -> None:
    steps = max(STEPS, 8 * kills)
    trainer.start(folder / "whole", steps=steps)
    began = time.monotonic()
    assert trainer.ended() == 0
    lasts, met, rng = time.monotonic() - began, 0, random.Random(seed)
    for _ in range(3 * kills):
        pid = trainer.start(folder / "killed", steps=steps)
        time.sleep(rng.uniform(0, lasts / kills))
        with suppress(ProcessLookupError):  # it has come to the end
            os.kill(pid, signal.SIGKILL)
        met += trainer.ended() == -signal.SIGKILL
        if met == kills:
            break
    trainer.start(folder / "killed", steps=steps)
    assert trainer.ended() == 0
    whole, killed = result(folder / "whole"), result(folder / "killed")
    for name, value in whole.items():
        assert killed[name] == value, (name, seed)
    assert len(whole["samples"]) == 2 * (1 + steps // EPOCH)
    assert (whole["facts"]["step"], met) == (steps, kills)


def test_killed_at_random_instants_it_goes_on_to_the_same_bits(trainer: Trainer, tmp_path: Path) -> None:
    killed_and_whole(trainer, tmp_path, kills=4, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_twenty_times(trainer: Trainer, tmp_path: Path, seed: int) -> None:
    killed_and_whole(trainer, tmp_path, kills=20, seed=seed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_step_end_and_keeps_it(
    trainer: Trainer, tmp_path: Path, number: signal.Signals
) -> None:
    pid = trainer.start(tmp_path / "run", steps=2000, save_minutes=60, epoch=0)
    while not (tmp_path / "run/log.jsonl").exists() or not (tmp_path / "run/log.jsonl").read_text():
        time.sleep(0.01)
    os.kill(pid, number)
    assert trainer.ended() == 128 + number
    [kept] = (tmp_path / "run/checkpoints").iterdir()
    step = json.loads((kept / "state.json").read_text())["step"]
    assert 0 < step < 2000
    assert not (tmp_path / "run/model").exists()
    # to the same bits as a run that was never stopped
    for folder in ("run", "whole"):
        trainer.start(tmp_path / folder, steps=step + 5, save_minutes=60, epoch=0)
        assert trainer.ended() == 0
    one, other = (
        load_file(tmp_path / f / f"checkpoints/{step + 5:07d}/state.safetensors") for f in ("run", "whole")
    )
    assert all(torch.equal(one[name], other[name]) for name in other)
    told = trainer.said.read_text().splitlines()
    assert f"stopped at step {step} of 2000; the same command goes on from there" in told
