"""The bundled models: their size and shape, the same pictures in diffusers, and company that changes nothing."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mezzotint import Engine, Picture, Request, generate, open_model
from mezzotint.models import Model
from mezzotint.models.autoencoder import Autoencoder
from mezzotint.models.image_text import ImageText
from mezzotint.samplers import SAMPLERS

BUNDLES = Path(__file__).parents[1] / "src/mezzotint/bundles"
PROMPTS = ("a red rose", "a cat on the moon", "three bananas", "a castle, flat style", "")


@pytest.fixture(scope="module")
def emoji() -> Model:
    return open_model("emoji", dtype="float32")


def test_the_bundle_is_small() -> None:
    files = [path for path in BUNDLES.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files if path.name == "config.json"} >= {
        "unet",
        "vae",
        "clip",
        "judge",
    }
    # emoji and the pairs 56 MB; with them faces, the small decoder, the adapter
    assert sum(path.stat().st_size for path in files) <= 75e6
    assert not [path for path in files if path.suffix in (".bin", ".pt", ".ckpt")]


def test_the_shape_is_what_is_said(emoji: Model) -> None:
    width, height = emoji.default_size
    assert (width, height) == (128, 128)
    latents = emoji.latent_channels * (width // emoji.vae_factor) * (height // emoji.vae_factor)
    assert width * height * 3 == 48 * latents
    assert emoji.encode_text("a red rose").shape == (77, 384)


@pytest.mark.parametrize("sampler", ["dpmpp-2m", "euler-a"])
def test_diffusers_makes_the_same_picture(emoji: Model, sampler: str) -> None:
    import diffusers
    import torch

    pipe = diffusers.StableDiffusionPipeline.from_pretrained(emoji.path, torch_dtype=torch.float32)
    name, options = SAMPLERS[sampler].diffusers or ("", {})
    pipe.scheduler = getattr(diffusers, name).from_config(pipe.scheduler.config, **options)
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        "a red rose", num_inference_steps=20, guidance_scale=5.0, generator=torch.Generator().manual_seed(7)
    ).images[0]
    [ours] = generate(
        Request(prompt="a red rose", seed=7, steps=20, sampler=sampler, guidance="cfg(5)"), emoji
    )
    assert psnr(pixels(ours.image), pixels(theirs)) >= 45


def test_pictures_differ_by_prompt_and_by_seed(emoji: Model) -> None:
    base = Request(prompt="a red rose", steps=4)
    one, other, seed = generate([base, Request(prompt="a blue car", steps=4), base.repeat(2)[1]], emoji)
    assert psnr(pixels(one.image), pixels(other.image)) < 30
    assert psnr(pixels(one.image), pixels(seed.image)) < 30


def test_encode_and_decode_keep_a_picture() -> None:
    image = Image.new("RGB", (128, 128), (44, 96, 206))
    image.paste((250, 214, 60), (32, 40, 96, 90))
    [back] = Autoencoder.open("emoji").reconstruct([image])
    assert psnr(pixels(image), pixels(back)) >= 24


@pytest.mark.parametrize("name", ["clip", "judge"])
def test_the_pairs_know_a_color_when_they_see_one(name: str) -> None:
    pair = ImageText.open(name)
    red = Image.new("RGB", (128, 128), "white")
    red.paste((214, 40, 40), (24, 24, 104, 104))
    assert pair.rank(red, ["red square", "green square", "blue square"])[0] == "red square"


@pytest.mark.parametrize(("mode", "count"), [("fast", 6), ("exact", 4)])
def test_company_changes_nothing(emoji: Model, mode: str, count: int) -> None:
    company_equals_alone(emoji, mode, count, steps=(3, 8))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_sixty_four_mixed_requests_equal_each_alone(emoji: Model, mode: str) -> None:
    company_equals_alone(emoji, mode, 64, steps=(10, 50))


def company_equals_alone(model: Model, mode: str, count: int, steps: tuple[int, int]) -> None:
    """Random neighbors, in random order, half of them arriving while the others are on their way."""
    rng = random.Random(count)
    requests = [
        Request(
            prompt=rng.choice(PROMPTS),
            seed=rng.randrange(1000),
            steps=rng.randint(*steps),
            sampler=rng.choice(list(SAMPLERS)),
            guidance=f"cfg({rng.choice([0.5, 1, 2, 5, 7.5, 20])})",
        )
        for _ in range(count)
    ]
    alone = [generate(request, model, mode)[0] for request in requests]  # type: ignore[arg-type]
    order = rng.sample(range(count), count)
    together: dict[int, Picture] = {}
    with Engine(model, mode) as engine:  # type: ignore[arg-type]
        first = {i: engine.submit(requests[i]) for i in order[: count // 2]}
        next(iter(first.values())).result()
        later = {i: engine.submit(requests[i]) for i in order[count // 2 :]}
        together = {i: future.result() for i, future in (first | later).items()}
    for i in range(count):
        difference = np.abs(pixels(together[i].image) - pixels(alone[i].image)).max()
        assert difference <= (2 if mode == "fast" else 0), requests[i]


def pixels(image: Image.Image) -> NDArray[np.int64]:
    return np.asarray(image.convert("RGB"), np.int64)


def psnr(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    return float(-10 * np.log10(max(1e-12, float(np.mean(((one - other) / 255.0) ** 2)))))
