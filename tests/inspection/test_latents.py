"""Latents: kept in a file and believed only as far as it is checked; draws are torch's; PSNR is what it should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from mezzotint.errors import DataError
from mezzotint.inspection.latents import PictureLatents, decode, encode
from mezzotint.metrics import psnr

Floats = NDArray[np.float32]


class Halves:
    """A model whose latents are the means of 8x8 blocks, and whose decoder repeats them."""

    name, digest = "halves", "ab" * 32
    latent_channels, vae_factor, default_size, scaling_factor = 3, 8, (32, 16), 0.5

    def encode_picture(self, pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        h, w = pixels.shape[0] // 8, pixels.shape[1] // 8
        mean = pixels.reshape(h, 8, w, 8, 3).mean((1, 3)).transpose(2, 0, 1).astype(np.float32)
        return mean, np.full_like(mean, 2)

    def decode(self, latents: Floats) -> NDArray[np.uint8]:
        return latents[0].transpose(1, 2, 0).repeat(8, 0).repeat(8, 1).round().astype(np.uint8)


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (16, 32, 3), np.uint8)


def test_a_file_gives_back_what_was_kept(tmp_path: Path, picture: NDArray[np.uint8]) -> None:
    z = encode(Halves(), picture)
    (tmp_path / "z.safetensors").write_bytes(z.to_bytes())
    again = PictureLatents.load(tmp_path / "z.safetensors")
    assert np.array_equal(again.values, z.values)
    assert {**vars(again), "values": 0} == {**vars(z), "values": 0}
    assert z.values.shape == (3, 2, 4)
    assert z.factor == 16 * 32 * 3 / (2 * 4 * 3)
    assert np.array_equal(decode(Halves(), again), Halves().decode(z.values[None]))


def test_a_draw_is_that_of_diffusers(picture: NDArray[np.uint8]) -> None:
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    mean, std = Halves().encode_picture(picture)
    moments = torch.from_numpy(np.concatenate([mean, 2 * np.log(std)])[None])
    theirs = DiagonalGaussianDistribution(moments).sample(torch.Generator().manual_seed(5))
    assert np.allclose(encode(Halves(), picture, 5).values, theirs[0].numpy(), atol=1e-4)
    assert not np.allclose(encode(Halves(), picture, 6).values, theirs[0].numpy(), atol=0.1)


def test_statistics_are_of_each_channel() -> None:
    values = np.stack([np.full((2, 2), 3), np.array([[0, 0], [2, 2]])]).astype(np.float32)
    first, second = PictureLatents(values, "m", "d", 1.0, 16, 16).statistics
    assert first == (3, 0, 3, 3)
    assert second == (1, 1, 0, 2)


def test_psnr() -> None:
    black = np.zeros((4, 4, 3), np.uint8)
    assert psnr(black, black) == float("inf")
    assert psnr(black, black + 255) == pytest.approx(0)
    assert psnr(black + 10, black) == pytest.approx(20 * np.log10(25.5))


GOOD = {
    "format": "mezzotint-latents-1",
    "model": "halves",
    "model_digest": "ab",
    "scaling_factor": "0.5",
    "width": "32",
    "height": "16",
}


@pytest.mark.parametrize(
    ("values", "about", "said"),
    [
        (np.zeros((3, 2), np.float32), GOOD, "should be"),
        (np.full((3, 2, 2), np.nan, np.float32), GOOD, "NaN or infinity"),
        (np.zeros((3, 2, 2), np.float32), {**GOOD, "width": "x"}, "holds no latents"),
        (np.zeros((3, 2, 2), np.float32), None, "holds no latents"),
        (np.zeros((3, 0, 2), np.float32), GOOD, "should be"),
    ],
)
def test_a_foreign_file_is_one_error(tmp_path: Path, values: Any, about: Any, said: str) -> None:
    save_file({"latents": values}, tmp_path / "z.safetensors", metadata=about)
    with pytest.raises(DataError, match=said):
        PictureLatents.load(tmp_path / "z.safetensors")


@pytest.mark.parametrize("content", [b"", b"\x89PNG", b"\x10\0\0\0\0\0\0\0{}"])
def test_what_is_no_safetensors_file_is_one_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "z.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"z\.safetensors"):
        PictureLatents.load(tmp_path / "z.safetensors")


def test_latents_of_another_model_are_refused() -> None:
    with pytest.raises(DataError, match="have 4 channels, halves decodes 3"):
        decode(Halves(), PictureLatents(np.zeros((4, 2, 2), np.float32), "", "", 1.0, 16, 16))
    with pytest.raises(DataError, match="larger picture"):
        decode(Halves(), PictureLatents(np.zeros((3, 2048, 2048), np.float32), "", "", 1.0, 16, 16))
