"""A task of a few milliseconds a step, with all that could make a resumed run differ: dropout, buffers, momentum.

Run as a script it starts trainings: a line of JSON in, a process number out, and its exit status when it has ended. So
that many can be started and killed, each is forked from a process that has imported what it needs.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from mezzotint.config import Config
from mezzotint.train.config import LoopConfig
from mezzotint.train.loop.loop import train

LOOP: dict[str, Any] = {
    "log_every": 3,
    "sheet_minutes": 60,
    "save_minutes": 60,
    "warmup": 2,
    "precision": "fp32",
}


class TinyConfig(Config):
    out: Path
    width: int = 8
    batch: int = 4
    loop: LoopConfig


class TinyTask:
    """Predict a sum: a Muon matrix, AdamW's vectors, a dropout, a running mean."""

    def __init__(self, config: TinyConfig, dropout: float = 0.5, epoch: int = 0):
        torch.manual_seed(0)
        self.config = config
        self.module: nn.Module = nn.Sequential(
            nn.Linear(4, config.width), nn.BatchNorm1d(config.width) if dropout else nn.Identity(), nn.Dropout(dropout),
            nn.Tanh(), nn.Linear(config.width, 1),
        )  # fmt: skip
        if epoch:
            self.steps_per_epoch = epoch

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        return self.loss_of(module, self.batch(step))

    def batch(self, step: int) -> dict[str, Tensor]:
        size = self.config.batch
        numbers = np.random.default_rng(0).standard_normal((10_000, 4), np.float32)[
            step * size : (step + 1) * size
        ]
        return {"x": torch.from_numpy(numbers)}

    def loss_of(self, module: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        loss = (module(batch["x"])[:, 0] - batch["x"].sum(1)).square().mean()
        return loss, {"error": loss.item()}

    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        out = module(torch.eye(4)).flatten()
        shown = out.clamp(0, 1).mul(255).byte().numpy()[None]
        return Image.fromarray(shown), {"sum": out.sum().item()}

    def save(self, module: nn.Module, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "model.json").write_text(
            json.dumps({k: v.tolist() for k, v in module.state_dict().items()})
        )


def run(
    folder: Path, dropout: float = 0.5, epoch: int = 0, width: int = 8, batch: int = 4, **loop: Any
) -> TinyTask:
    """Train to `steps`; returns the task."""
    config = TinyConfig(out=folder, width=width, batch=batch, loop=LoopConfig(**LOOP | loop))
    task = TinyTask(config, dropout, epoch)
    train(task, config.loop, folder)
    return task


def _serve() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), steps=1)  # which imports what is only imported when it is used
    for line in sys.stdin:
        asked = json.loads(line)
        if pid := os.fork():
            print(pid, flush=True)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            print(status, flush=True)
            continue
        try:
            run(Path(asked.pop("folder")), **asked)
        except SystemExit as error:
            os._exit(int(error.code or 0))
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)


if __name__ == "__main__":
    _serve()
