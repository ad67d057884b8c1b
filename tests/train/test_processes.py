"""Two processes train as one does: each takes its part of every batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mezzotint.errors import ConfigError
from mezzotint.train.config import LoopConfig
from mezzotint.train.loop import loop
from mezzotint.train.loop.task import part_of, size_of

ASKED = {"steps": 6, "dropout": 0.0, "epoch": 3, "batch": 5, "accumulate": 2, "log_every": 2, "muon_lr": 0.0}
START = "import json, pathlib, sys; from support.tiny_task import run; run(pathlib.Path(sys.argv[1]), **json.loads(sys.argv[2]))"


def test_parts_are_of_every_tensor_and_make_up_the_batch() -> None:
    batch = {"x": torch.arange(10).view(5, 2), "more": (np.arange(5), ["a", "b", "c", "d", "e"], None, 7)}
    one, other = (part_of(batch, rank, 2) for rank in (0, 1))
    assert (size_of(batch), size_of(one), size_of(other)) == (5, 3, 2)
    assert one["more"][1:] == (["a", "c", "e"], None, 7)
    assert sorted([*one["more"][0], *other["more"][0]]) == [0, 1, 2, 3, 4]
    assert torch.equal(other["x"], batch["x"][1::2])


def test_what_cannot_be_shared_out_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from support import tiny_task

    monkeypatch.setattr(loop.Accelerator, "num_processes", 2)
    config = tiny_task.TinyConfig(out=tmp_path, loop=LoopConfig(**tiny_task.LOOP | {"steps": 2}))
    task = tiny_task.TinyTask(config)
    whole: Any = SimpleNamespace(
        **{name: getattr(task, name) for name in ("module", "config", "loss", "sheet", "save")}
    )
    with pytest.raises(ConfigError, match="in one"):
        loop.train(whole, config.loop, tmp_path)


@pytest.mark.slow
def test_two_processes_are_one_to_rounding(tmp_path: Path) -> None:
    for processes in (1, 2):
        started(tmp_path / str(processes), processes, ASKED)
    one, two = (load_file(tmp_path / f"{n}/checkpoints/0000006/state.safetensors") for n in (1, 2))
    assert one.keys() == two.keys()
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)
    losses = [
        [
            json.loads(line)["loss"]
            for line in (tmp_path / f"{n}/log.jsonl").read_text().splitlines()
            if '"loss"' in line
        ]
        for n in (1, 2)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert len(losses[1]) == 3
    # it goes on in one process, and again in two
    started(tmp_path / "2", 1, ASKED | {"steps": 8})
    started(tmp_path / "2", 2, ASKED | {"steps": 10})
    assert (tmp_path / "2/checkpoints/0000010").is_dir()


def started(folder: Path, processes: int, asked: dict[str, object]) -> None:
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", str(processes),
              "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--num_cpu_threads_per_process", "1",
              "--main_process_port", "0"]  # fmt: skip
    script = folder.with_suffix(".py")
    script.write_text(START)
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*launch, str(script), str(folder), json.dumps(asked)], capture_output=True, text=True, timeout=240,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
