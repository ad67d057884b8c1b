"""Our side of the training bench, a process of its own: `train.loop` on the same network, pictures, batch and precision.

For each line on stdin it makes as many steps as the line says, and prints the seconds and the processor seconds.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DModel
from PIL import Image
from torch import Tensor, nn

from mezzotint.train.config import LoopConfig
from mezzotint.train.loop.loop import train


class NoisePrediction:
    """Predict the noise in pictures; before every so many steps, wait for a line."""

    def __init__(self, network: dict[str, Any], file: Path, size: int, accumulate: int):
        torch.manual_seed(0)
        self.module = UNet2DModel(**network)
        self.pictures = torch.from_numpy(np.load(file))
        self.bars = DDPMScheduler().alphas_cumprod
        self.size, self.accumulate = size, accumulate
        self.until = 0
        self.began: tuple[float, float] | None = None

    def batch(self, step: int) -> Tensor:
        """(n, h, w, 3) uint8, some mirrored."""
        generator = torch.Generator().manual_seed(step)
        chosen = torch.randint(0, len(self.pictures), (self.size,), generator=generator)
        x = self.pictures[chosen]
        mirrored = torch.rand(self.size, generator=generator) < 0.5
        return torch.where(mirrored[:, None, None, None], x.flip(2), x)

    def loss(self, module: nn.Module, step: int) -> tuple[Tensor, dict[str, float]]:
        """As Task asks."""
        return self.loss_of(module, self.batch(step))

    def loss_of(self, module: nn.Module, batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The mean squared error of the noise."""
        x0 = batch.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
        t, eps = torch.randint(0, len(self.bars), (len(x0),)), torch.randn(x0.shape)
        bar = self.bars[t][:, None, None, None]
        out = module(bar.sqrt() * x0 + (1 - bar).sqrt() * eps, t).sample
        return (out.float() - eps).square().mean(), {}

    def sheet(self, module: nn.Module) -> tuple[Image.Image, dict[str, float]]:
        """Not asked for."""
        return Image.new("RGB", (1, 1)), {}

    def save(self, module: nn.Module, folder: Path) -> None:
        """Nothing is kept."""


class SteppedNoisePrediction(NoisePrediction):
    """Counts batches, and stands still where as many steps have been made as were asked for."""

    count = 0

    def batch(self, step: int) -> Tensor:
        """A batch; before it, the gate."""
        if self.count == self.until:
            self._wait()
        self.count += 1
        return super().batch(step)

    def _wait(self) -> None:
        if self.began:
            wall, cpu = self.began
            print(time.perf_counter() - wall, time.process_time() - cpu, flush=True)
        else:
            print("ready", flush=True)
        line = sys.stdin.readline()
        if not line:
            raise SystemExit
        self.until += int(line) * self.accumulate
        self.began = time.perf_counter(), time.process_time()


def main() -> None:
    """Arguments as those of diffusers_training.py."""
    network, file, size, accumulate, precision, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    task = SteppedNoisePrediction(json.loads(network), Path(file), int(size), int(accumulate))
    settings: dict[str, Any] = {
        "steps": 100_000, "accumulate": int(accumulate), "precision": precision, "lr": 1e-5, "muon_lr": 0.0,
        "scheduler": "cosine", "warmup": 500, "ema": 0.9999, "weight_decay": 1e-6, "save_minutes": 1e9, "sheet_minutes": 1e9,
        "ahead": 0,  # else batches would be prepared between what is measured
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        train(task, LoopConfig(**settings), Path(folder))


if __name__ == "__main__":
    main()
