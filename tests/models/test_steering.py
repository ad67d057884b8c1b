"""Losses and gradients of terms equal the literal formulas, alone and in company, on latents and on pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mezzotint.errors import ModelError
from mezzotint.guidance import Clip, Color, LossGradient, LossQuery, Steer
from mezzotint.models import Model, open_model
from mezzotint.models.pixel_model import PixelModel
from mezzotint.models.steering.cutouts import sample_cutouts
from mezzotint.models.steering.small_decoder import SmallArch, SmallDecoder
from support import tiny
from support.tiny_pair import features, make_pair
from support.tiny_pixels import PLAIN, make_pixels

SIZE, SEEN = 16, (4, 8, 12)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    folder = tmp_path_factory.mktemp("clip")
    return str(folder), make_pair(folder, size=SIZE)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("models") / "steered"
    made = tiny.make_pipeline(folder, text_layers=1, channels=(32,), vae_channels=(32, 32))
    torch.manual_seed(0)
    SmallDecoder(SmallArch(4, 8, 1, 2)).save(folder / "decoder_small")
    return folder, made


@pytest.fixture(scope="module", params=["torch", "openvino"])
def model(pipeline: tuple[Path, Any], cache: Path, request: pytest.FixtureRequest) -> Model:
    opened = open_model(pipeline[0], request.param, "float32", 1, cache)
    assert isinstance(opened, Model)
    return opened


@pytest.fixture(scope="module", params=["torch", "openvino"])
def pixels(
    tmp_path_factory: pytest.TempPathFactory, cache: Path, request: pytest.FixtureRequest
) -> PixelModel:
    folder = tmp_path_factory.mktemp("models") / "pixels"
    make_pixels(folder, PLAIN)
    opened = open_model(folder, request.param, "float32", 1, cache)
    assert isinstance(opened, PixelModel)
    return opened


def latents(seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(SEEN, np.float32)


def job(term: Steer, seen: Any, seed: int = 0) -> LossQuery:
    return LossQuery(term, seen, np.random.default_rng(seed))


def literal(loss: Callable[[Tensor], Tensor], seen: Any) -> LossGradient:
    """A loss written out, and its gradient by automatic differentiation."""
    x = torch.tensor(seen[None]).requires_grad_()
    value = loss(x)
    (gradient,) = torch.autograd.grad(value, x)
    return LossGradient(float(value.detach()), -gradient[0].numpy())


def same(found: LossGradient, expected: LossGradient, rel: float = 1e-3) -> None:
    assert found.loss == pytest.approx(expected.loss, rel=rel)
    error = np.abs(found.gradient - expected.gradient).max()
    assert error <= rel * np.abs(expected.gradient).max()


def decoded(pipeline: Any, z: Tensor) -> Tensor:
    picture: Tensor = pipeline.vae.decode(z / pipeline.vae.config.scaling_factor).sample
    return picture


def to_text(model: Any, folder: str, text: str, cutouts: Tensor) -> Tensor:
    """Mean of 2*arcsin(|u - v|/2)^2, as it is published."""
    from transformers import CLIPTokenizer

    ids = CLIPTokenizer.from_pretrained(folder)(text, return_tensors="pt")["input_ids"]
    words = model.get_text_features(input_ids=ids)
    u, v = (
        F.normalize(w, dim=-1) for w in (features(model, cutouts), getattr(words, "pooler_output", words))
    )
    return (u - v).norm(dim=-1).div(2).arcsin().pow(2).mul(2).mean()


def test_clip_over_the_whole_picture(model: Model, pipeline: Any, clip: tuple[str, Any]) -> None:
    folder, net = clip
    term = Clip("the moon", model=folder, crop="whole", decoder="full")

    def loss(z: Tensor) -> Tensor:
        picture = (decoded(pipeline[1], z) / 2 + 0.5).clamp(0, 1)
        small = F.interpolate(picture, (SIZE, SIZE), mode="bilinear", antialias=True)
        return to_text(net, folder, term.text, small)

    same(model.loss_gradients([job(term, latents())], True)[0], literal(loss, latents()))


@pytest.mark.parametrize(
    ("slips", "decoder"), [("", "full"), ("range", "full"), ("", "small"), ("range", "small")]
)
def test_clip_over_cutouts(
    slips: str, decoder: Any, model: Model, pipeline: Any, clip: tuple[str, Any]
) -> None:
    folder, net = clip
    term = Clip("a cat", model=folder, cutouts=3, decoder=decoder, slips=slips)
    small = quickly(pipeline[0])

    def loss(z: Tensor) -> Tensor:
        picture = small(z)[0] if decoder == "small" else decoded(pipeline[1], z)[0]
        picture = picture if slips else (picture / 2 + 0.5).clamp(0, 1)
        made = sample_cutouts(term, *picture.shape[1:], SIZE, np.random.default_rng(5))
        rows, columns = torch.tensor(made.rows), torch.tensor(made.columns)
        return to_text(net, folder, term.text, torch.einsum("krh,chw,ksw->kcrs", rows, picture, columns))

    same(model.loss_gradients([job(term, latents(), 5)], True)[0], literal(loss, latents()))


def test_clip_agrees_with_finite_differences(model: Model, clip: tuple[str, Any]) -> None:
    term = Clip("a cat", model=clip[0], cutouts=2, degrees=10, crop="square", decoder="full")
    z, step = latents(), latents(1)
    g = model.loss_gradients([job(term, z)], True)[0].gradient
    ahead, behind = (model.loss_gradients([job(term, z + s * step)], True)[0].loss for s in (3e-3, -3e-3))
    assert (behind - ahead) / 6e-3 == pytest.approx(float((g * step).sum()), rel=0.02)


@pytest.mark.parametrize("of", ["pixels", "mean"])
@pytest.mark.parametrize("decoder", ["full", "small"])
def test_color_has_the_true_mean_and_its_force(decoder: Any, of: Any, model: Model, pipeline: Any) -> None:
    term = Color("#19e680", 40, decoder=decoder, of=of)
    target = (2 * torch.tensor([25, 230, 128]) / 255 - 1)[:, None, None]
    small = quickly(pipeline[0])

    def loss(z: Tensor) -> Tensor:
        picture = small(z) if decoder == "small" else decoded(pipeline[1], z)
        if of == "mean":
            return (picture.mean((2, 3)) - target[:, 0, 0]).square().sum() / 2
        return (picture - target).abs().mean()

    expected, pixels = literal(loss, latents()), math.prod((2 * SEEN[1], 2 * SEEN[2]))
    unit = pixels if of == "mean" else pixels / (256 * 256)  # the way that is left; the published force
    same(
        model.loss_gradients([job(term, latents())], True)[0],
        expected._replace(gradient=expected.gradient * unit),
    )


def quickly(folder: Path) -> Callable[[Tensor], Tensor]:
    """The small decoder."""
    from safetensors.torch import load_file

    small = SmallDecoder(SmallArch(4, 8, 1, 2))
    small.load_state_dict(
        {k: v.float() for k, v in load_file(folder / "decoder_small/model.safetensors").items()}
    )
    return small


def test_color_through_the_linear_map_has_the_force_of_all_its_pixels(model: Model) -> None:
    small, full = (
        model.loss_gradients([job(Color("red", decoder=d), latents())], True)[0]
        for d in ("linear", "full")  # type: ignore[arg-type]
    )
    assert 0.2 < np.linalg.norm(small.gradient) / np.linalg.norm(full.gradient) < 5


def test_the_force_on_a_pixel_is_the_published_one(pixels: PixelModel) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16)).astype(np.float32)
    found = pixels.loss_gradients([job(Color("#ff0000", 40), x)], True)[0]
    assert found.loss == pytest.approx(
        np.abs(x - np.array([1, -1, -1], np.float32)[:, None, None]).mean(), rel=1e-5
    )
    assert found.gradient[0] == pytest.approx(np.full((16, 16), 1 / (3 * 256 * 256)))
    assert found.gradient[1:] == pytest.approx(np.full((2, 16, 16), -1 / (3 * 256 * 256)))


def test_company_changes_nothing_that_matters(model: Model, clip: tuple[str, Any]) -> None:
    folder, _ = clip
    terms: Sequence[Steer] = [
        Clip("a cat", model=folder, cutouts=3, decoder="full"),
        Color("red", decoder="full"),
        Clip("the moon", model=folder, cutouts=20, degrees=5, slips="range", decoder="full"),
        Clip("a cat", model=folder, crop="square", decoder="small"),
        Color("blue", decoder="linear"),
        Color("blue", decoder="linear", of="mean"),
        Color("green", decoder="small", of="mean"),
        Clip("the moon", model=folder, cutouts=2, decoder="small"),
        Color("blue", decoder="full"),
    ]

    def jobs() -> list[LossQuery]:
        return [job(term, latents(i), i) for i, term in enumerate(terms)]

    together, alone = model.loss_gradients(jobs(), False), model.loss_gradients(jobs(), True)
    for one, other in zip(together, alone, strict=True):
        same(one, other, 1e-5)
    again = model.loss_gradients(jobs()[2:3], True)[0]
    assert again.loss == alone[2].loss
    assert np.array_equal(again.gradient, alone[2].gradient)


def test_the_pullback_is_the_derivative_of_the_network(model: Model) -> None:
    _pulls_back(model)


def test_the_pullback_is_the_derivative_of_a_network_of_pixels(pixels: PixelModel) -> None:
    _pulls_back(pixels)


def _pulls_back(net: Model | PixelModel) -> None:
    rng = np.random.default_rng(0)
    shape = (2, net.latent_channels, 16, 16)
    x, step, g = (rng.standard_normal(shape, np.float32) for _ in range(3))
    t = np.array([100, 700], np.float32)
    text = (
        np.stack([net.encode_text(p) for p in ("", "a cat")])
        if net.reads_text
        else np.zeros((2, 0, 0), np.float32)
    )
    out, back = net.pullback(x, t, text)
    assert out == pytest.approx(net.denoise(x, t, text), abs=1e-5)
    ahead, behind = (net.pullback(x + s * step, t, text)[0] for s in (1e-2, -1e-2))
    slope = ((ahead - behind).astype(np.float64) * g).sum() / 2e-2
    assert slope == pytest.approx(float((back(g) * step).sum()), rel=2e-2)


def test_what_is_missing_is_said_at_the_door(model: Model, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no image-text pair"):
        model.ready(Clip("a cat", model=str(tmp_path / "nothing")))
    tiny.make_pipeline(tmp_path, text_layers=1, channels=(32,), vae_channels=(32,))
    bare = open_model(tmp_path, "torch", "float32", 1, cache)
    with pytest.raises(ModelError, match="has no small decoder"):
        bare.ready(Color("red", decoder="small"))
    (tmp_path / "decoder_small").mkdir()
    (tmp_path / "decoder_small/config.json").write_text('{"_class_name": "Sequential"}')
    with pytest.raises(ModelError, match=r"model\.safetensors is missing"):
        open_model(tmp_path, "torch", "float32", 1, cache).ready(Color("red"))


def test_auto_takes_the_small_decoder_and_the_facts_say_so(model: Model, clip: tuple[str, Any]) -> None:
    facts = model.facts(Clip("a cat", model=clip[0]))
    assert facts["decoder"] == "small"
    assert len(facts["decoder_digest"]) == len(facts["clip_digest"]) == 32
    assert facts["clip_dtype"] == "float32"  # a narrow network gains nothing by less
