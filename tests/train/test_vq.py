"""The codebook: it starts at the data, stays in use, resumes to the bit, and opens again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from mezzotint.models.autoencoder import Autoencoder, Facts
from mezzotint.train.config import LoopConfig
from mezzotint.train.loop.loop import train
from mezzotint.train.vae import AutoencoderShape, VaeConfig, VaeTask, VqAutoencoder
from support.pictures import make_pictures

SMALL = {"channels": (4, 4, 4, 8), "groups": 2, "regularizer": "vq", "codes": 24}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("pictures"))


def task(pictures: Path, out: Path, steps: int) -> VaeTask:
    loop = LoopConfig(steps=steps, log_every=2, sheet_minutes=60, save_minutes=60, warmup=2, precision="fp32")
    return VaeTask(VaeConfig(data=pictures, out=out, batch=2, crop=32, loop=loop, **SMALL))


def run(pictures: Path, out: Path, steps: int) -> dict[str, torch.Tensor]:
    made = task(pictures, out, steps)
    train(made, made.config.loop, out)
    return load_file(out / f"checkpoints/{steps:07d}/state.safetensors")


def test_it_resumes_to_the_bit_and_opens(pictures: Path, tmp_path: Path) -> None:
    whole = run(pictures, tmp_path / "whole", 4)
    run(pictures, tmp_path / "parts", 2)
    parts = run(pictures, tmp_path / "parts", 4)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    auto = Autoencoder.open(tmp_path / "whole/model", tmp_path / "cache")
    assert auto.facts == Facts("vq", 4, 8, 24)
    z = auto.encode([Image.new("RGB", (128, 128), "red")])
    assert z.shape == (1, 4, 16, 16)
    assert auto.decode(z).shape == (128, 128, 3)


def test_the_sheet_tells_how_many_codes_are_used(pictures: Path, tmp_path: Path) -> None:
    made = task(pictures, tmp_path, 1)
    with torch.no_grad():
        made.loss(made.module, 0)
        _, numbers = made.sheet(made.module)
        assert 2 <= numbers["codes_used"] <= 24
        assert 1 <= numbers["perplexity"] <= numbers["codes_used"] + 1e-3
        made.regularized._book.zero_()  # as collapsed as can be
        assert made.sheet(made.module)[1]["codes_used"] == 1


def forward(vq: VqAutoencoder, x: torch.Tensor, seed: int = 0, settled: bool = False) -> torch.Tensor:
    out: torch.Tensor = vq(x, torch.Generator().manual_seed(seed), settled)[1]
    return out


@pytest.fixture
def vq() -> VqAutoencoder:
    torch.manual_seed(0)
    return VqAutoencoder(AutoencoderShape(**SMALL)).train()


@pytest.fixture
def batch() -> torch.Tensor:
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_codes_start_at_the_latents_of_the_first_batch(vq: VqAutoencoder, batch: torch.Tensor) -> None:
    flat = vq.vae.encode(batch).latents.detach().permute(0, 2, 3, 1).flatten(0, 2)
    generator = torch.Generator().manual_seed(0)
    vq._restart(flat, generator)
    assert torch.cdist(vq._book, flat, compute_mode="donot_use_mm_for_euclid_dist").min(1).values.max() < 1e-6
    assert len(torch.unique(vq._book, dim=0)) == 24


def test_a_dead_code_is_brought_back_and_a_used_one_left_alone(
    vq: VqAutoencoder, batch: torch.Tensor
) -> None:
    for seed in range(3):
        forward(vq, batch, seed)
    vq._book.data[5] = 1e3  # no latent will choose it
    vq.idle[5] = 0
    for _ in range(VqAutoencoder.PATIENCE):
        forward(vq, batch)
    assert vq._book[5, 0] == 1e3
    before = vq._book.clone()
    forward(vq, batch)
    assert vq._book[5].abs().max() < 100
    used = vq.idle == 0
    assert (before - vq._book)[used & (torch.arange(24) != 5)].abs().max() < 0.1


@pytest.mark.parametrize("how", ["settled", "frozen"])
def test_no_code_jumps_when_it_should_not(vq: VqAutoencoder, batch: torch.Tensor, how: str) -> None:
    vq.frozen = how == "frozen"
    before = vq._book.clone()
    forward(vq, batch, settled=how == "settled")
    moved = (before != vq._book).any(1)
    assert moved.sum() == (0 if vq.frozen else (vq.idle == 0).sum())


def test_codes_follow_their_latents(vq: VqAutoencoder, batch: torch.Tensor) -> None:
    """With the encoder at rest, and no code starting anew, the distance to the nearest code falls."""
    vq._book.data.normal_(generator=torch.Generator().manual_seed(0))
    first = forward(vq, batch, settled=True).item()
    for _ in range(20):
        last = forward(vq, batch, settled=True).item()
    assert last < 0.5 * first


def test_gradients_pass_to_the_encoder_and_not_to_the_codes(vq: VqAutoencoder, batch: torch.Tensor) -> None:
    out, penalty, _ = vq(batch, torch.Generator().manual_seed(0), False)
    (out.square().mean() + penalty).backward()
    assert vq.vae.encoder.conv_in.weight.grad.abs().max() > 0
    assert vq._book.grad is None
