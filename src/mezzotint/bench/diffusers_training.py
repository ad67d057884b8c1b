"""Training of an unconditional model by diffusers, as its example script does it. Run by path; imports no Mezzotint.

The inner loop of examples/unconditional_image_generation/train_unconditional.py (Apache-2.0) written plainly. Arguments:
network (JSON), pictures (.npy, uint8), batch, batches a step, precision, threads. For each line on stdin it makes as many
steps as the line says, and prints the seconds and the processor seconds that they took.
"""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import DDPMScheduler, UNet2DModel
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from torch.nn import functional as F


class PictureDataset(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Each visit prepares a picture anew, as the script's transforms do."""

    def __init__(self, file: str):
        self.pictures = np.load(file)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        picture = torch.from_numpy(self.pictures[index]).permute(2, 0, 1).float().div(255)
        if torch.rand(1) < 0.5:
            picture = picture.flip(-1)
        return {"input": picture.sub(0.5).div(0.5)}


def steps(
    loader: Any,
    model: Any,
    optimizer: Any,
    scheduler: Any,
    ema: Any,
    accelerator: Any,
    weight_dtype: torch.dtype,
) -> Iterator[dict[str, float]]:
    """Yields after each step of the optimizer."""
    noise_scheduler = DDPMScheduler()
    while True:
        for batch in loader:
            clean = batch["input"].to(weight_dtype)
            noise = torch.randn(clean.shape, dtype=weight_dtype)
            t = torch.randint(0, noise_scheduler.config.num_train_timesteps, (len(clean),)).long()
            noisy = noise_scheduler.add_noise(clean, noise, t)
            with accelerator.accumulate(model):
                out = model(noisy, t).sample
                loss = F.mse_loss(out.float(), noise.float())
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
            logs = {"loss": loss.detach().item(), "lr": scheduler.get_last_lr()[0]}
            if accelerator.sync_gradients:
                ema.step(model.parameters())
                yield logs


if __name__ == "__main__":
    network, file, size, accumulate, precision, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    accelerator = Accelerator(
        mixed_precision="no" if precision == "fp32" else precision,
        gradient_accumulation_steps=int(accumulate),
    )
    model = UNet2DModel(**json.loads(network))
    ema = EMAModel(
        model.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=0.75,
        model_cls=UNet2DModel, model_config=model.config,
    )  # fmt: skip
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-5, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8
    )
    loader = torch.utils.data.DataLoader(
        PictureDataset(file), batch_size=int(size), shuffle=True, drop_last=True
    )
    scheduler = get_scheduler("cosine", optimizer=optimizer, num_warmup_steps=500, num_training_steps=100_000)
    model, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)
    weight_dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    run = steps(loader, model, optimizer, scheduler, ema, accelerator, weight_dtype)
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            logs = next(run)
        print(time.perf_counter() - began[0], time.process_time() - began[1], logs["loss"], flush=True)
