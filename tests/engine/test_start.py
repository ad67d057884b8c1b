"""Runs that start from a picture: image to image, and inpainting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mezzotint import library
from mezzotint.engine import Engine
from mezzotint.errors import MezzotintError, RequestError
from mezzotint.request import Request
from support.toy import Toy

Array = NDArray[np.float32]
SIDE = 64


@dataclass
class Knowing(Toy):
    """A pixel model that is certain of one picture: mid gray, with a darker left half."""

    latent_channels: int = 3
    vae_factor: int = 1
    default_size: tuple[int, int] = (SIDE, SIDE)

    @property
    def x0(self) -> Array:
        x0 = np.zeros((3, SIDE, SIDE), np.float32)
        x0[:, :, : SIDE // 2] = -0.5
        return x0

    def denoise(self, x: Array, timestep: Array, text: Array, rows: int) -> Array:
        bar = self.schedule.alpha2_at(timestep.astype(np.float64))[:, None, None, None]
        eps = (x - np.sqrt(bar) * self.x0) / np.sqrt(1 - bar)
        if self.schedule.prediction == "v_prediction":
            return np.asarray(np.sqrt(bar) * eps - np.sqrt(1 - bar) * self.x0, np.float32)
        return np.asarray(eps, np.float32)

    def encode_picture(self, pixels: NDArray[np.uint8]) -> tuple[Array, Array]:
        mean = np.moveaxis(pixels / np.float32(127.5) - 1, -1, 0).astype(np.float32)
        return mean, np.zeros_like(mean)

    def decode(self, latents: Array) -> NDArray[np.uint8]:
        return np.asarray(np.clip(np.moveaxis(latents[0], 0, -1) * 127.5 + 127.5, 0, 255).round(), np.uint8)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Keep a picture in a library of the test's own; gives its digest."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def keep(pixels: NDArray[np.uint8]) -> str:
        path = tmp_path / "picture.png"
        Image.fromarray(pixels).save(path)
        return library.keep(path)

    return keep


def made(request: Request, toy: Toy | None = None) -> NDArray[np.uint8]:
    with Engine(toy or Knowing()) as engine:
        return np.asarray(engine.submit(request).result().image)


def roughness(pixels: NDArray[np.uint8]) -> float:
    """The mean step between neighbors: what noise leaves."""
    return float(np.abs(np.diff(pixels.astype(float), axis=0)).mean())


@pytest.mark.parametrize("sampler", ["lms", "euler", "ddim", "dpmpp-2m", "unipc", "heun"])
def test_started_in_the_middle_no_noise_is_left(kept: Any, sampler: str) -> None:
    init = kept(np.full((SIDE, SIDE, 3), 200, np.uint8))
    picture = made(Request(sampler=sampler, steps=20, init=init, begin=8, guidance="none"))
    expected = np.where(np.arange(SIDE) < SIDE // 2, 64, 128)
    assert np.abs(picture.astype(int) - expected[None, :, None]).max() <= 2
    assert roughness(picture) < 0.5


def test_the_slip_of_lms_leaves_noise(kept: Any) -> None:
    """diffusers counts LMS history from the start of the schedule: begun in the middle, its first weights are wrong."""
    request = {
        "sampler": "lms",
        "steps": 50,
        "init": kept(np.full((SIDE, SIDE, 3), 200, np.uint8)),
        "begin": 49,
    }
    right, wrong = (made(Request(**request, compat=compat, guidance="none")) for compat in ("", "diffusers"))
    assert roughness(wrong) > 3 * max(roughness(right), 0.1)


def test_the_later_the_start_the_nearer_to_the_picture(kept: Any) -> None:
    rng = np.random.default_rng(0)
    init = kept(rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8))
    toy = Toy(latent_channels=3, vae_factor=1, default_size=(SIDE, SIDE))
    toy.encode_picture = Knowing().encode_picture  # type: ignore[attr-defined]
    toy.decode = Knowing().decode  # type: ignore[method-assign]
    pixels = library.pixels(init).astype(int)
    far = [
        np.abs(made(Request("p", steps=10, init=init, begin=b), toy).astype(int) - pixels).mean()
        for b in (2, 6, 9)
    ]
    assert far[0] > far[1] > far[2]


@pytest.mark.parametrize("sampler", ["ddim", "euler-a", "dpmpp-2m", "lms"])
def test_a_mask_keeps_what_is_outside_to_the_bit(kept: Any, sampler: str) -> None:
    rng = np.random.default_rng(0)
    before = rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    hole = np.zeros((SIDE, SIDE, 3), np.uint8)
    hole[16:48, 16:48] = 255
    request = Request(steps=12, sampler=sampler, init=kept(before), mask=kept(hole), guidance="none")
    after = made(request)
    inside = hole > 0
    assert np.array_equal(after[~inside], before[~inside])
    expected = np.broadcast_to(np.where(np.arange(SIDE) < SIDE // 2, 64, 128)[None, :, None], after.shape)
    assert np.abs(after.astype(int) - expected)[inside].max() <= 3


def test_what_cannot_be_started_from(kept: Any) -> None:
    init, mask = kept(np.zeros((SIDE, SIDE, 3), np.uint8)), kept(np.zeros((32, 32, 3), np.uint8))
    with Engine(Knowing()) as engine:
        with pytest.raises(RequestError, match="the mask is 32x32; its picture is 64x64"):
            engine.submit(Request(init=init, mask=mask))
        with pytest.raises(MezzotintError, match="--init"):
            engine.submit(Request(init="1" * 64))
    with pytest.raises(RequestError, match="give init too"):
        Request(begin=3)
    with pytest.raises(RequestError, match="init must be a picture's digest"):
        Request(init="photo.png")
    with Engine(Toy()) as engine, pytest.raises(MezzotintError, match="cannot start from a picture"):
        engine.submit(Request(init=init)).result()
