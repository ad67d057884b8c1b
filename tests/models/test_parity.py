"""Both runtimes give what diffusers and transformers give for the same folder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from mezzotint.models import Model

pytestmark = pytest.mark.processor

Opened = Callable[[str, str], Model]
both = pytest.mark.parametrize("runtime", ["openvino", "torch"])
either = pytest.mark.parametrize("name", ["first", "second"])
PROMPTS = ["", "the cat on the moon", "Ünïcode — and 12 numbers! it's", "cat " * 60]


def _rows(n: int, model: Model, height: int = 8, width: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, 4, height, width)).astype(np.float32)
    t = rng.uniform(0, 999, n).astype(np.float32)
    return x, t, rng.standard_normal((n, 77, model.text_width)).astype(np.float32)


def _close(ours: np.ndarray, theirs: torch.Tensor, tolerance: float = 2e-5) -> None:
    reference = theirs.numpy()
    assert ours.shape == reference.shape
    assert np.abs(ours - reference).max() <= tolerance * max(1, np.abs(reference).max())


@both
@either
@pytest.mark.parametrize("prompt", PROMPTS)
def test_text_states(
    opened: Opened, request: pytest.FixtureRequest, name: str, runtime: str, prompt: str
) -> None:
    pipeline = request.getfixturevalue(name).pipeline
    with torch.no_grad():
        theirs, _ = pipeline.encode_prompt(prompt, "cpu", 1, False)
    model = opened(name, runtime)
    assert model.text_width == {"first": 768, "second": 64}[name]
    _close(model.encode_text(prompt), theirs[0])


@both
@either
@pytest.mark.parametrize("size", [(8, 8), (5, 7)])  # odd sizes: halving rounds up
def test_denoise(
    opened: Opened, request: pytest.FixtureRequest, name: str, runtime: str, size: tuple[int, int]
) -> None:
    unet, model = request.getfixturevalue(name).pipeline.unet, opened(name, runtime)
    x, t, text = _rows(2, model, *size)
    with torch.no_grad():
        theirs = unet(torch.tensor(x), torch.tensor(t), torch.tensor(text)).sample
    _close(model.denoise(x, t, text, rows=2), theirs)


@both
@either
def test_decode(opened: Opened, request: pytest.FixtureRequest, name: str, runtime: str) -> None:
    pipeline, model = request.getfixturevalue(name).pipeline, opened(name, runtime)
    z = _rows(1, model, 4, 6)[0]
    with torch.no_grad():
        raw = pipeline.vae.decode(torch.tensor(z) / pipeline.vae.config.scaling_factor).sample
    theirs = pipeline.image_processor.postprocess(raw, output_type="np")
    ours = model.decode_float(z)
    assert np.abs(ours - theirs).max() < 1e-4
    bytes_of = model.decode(z)
    assert bytes_of.dtype == np.uint8
    assert bytes_of.shape == (4 * model.vae_factor, 6 * model.vae_factor, 3)
    assert np.abs(bytes_of / 255 - theirs[0]).max() < 0.5 / 255 + 1e-4


@either
def test_the_runtimes_agree(opened: Opened, name: str) -> None:
    ov, torch_ = opened(name, "openvino"), opened(name, "torch")
    asked = _rows(5, ov)
    assert np.abs(ov.denoise(*asked) - torch_.denoise(*asked)).max() < 2e-5


def test_what_a_model_tells(opened: Opened, first: object, second: object) -> None:
    one, two = opened("first", "openvino"), opened("second", "openvino")
    assert (one.name, one.runtime, one.dtype, one.device) == ("first", "openvino", "float32", "cpu")
    assert (one.schedule.prediction, two.schedule.prediction) == ("epsilon", "v_prediction")
    assert one.default_size == (64, 64) and one.vae_factor == 8 and one.latent_channels == 4
    assert one.digest != two.digest
    assert one.digest == opened("first", "torch").digest


@pytest.mark.parametrize("dtype", ["bfloat16"])
@both
def test_sixteen_bits_stay_near(
    first: object, opened: Opened, cache: object, dtype: str, runtime: str
) -> None:
    from mezzotint.models import open_model

    try:
        model = open_model(first.folder, runtime, dtype, 1, cache)  # type: ignore
    except Exception as error:
        if "does not run" in str(error):
            pytest.skip(str(error))
        raise
    full = opened("first", "openvino")
    x, _, text = _rows(2, model)
    for t in (1.0, 951.0, 999.0):  # whole numbers that bfloat16 cannot hold
        asked = x, np.full(2, t, np.float32), text
        right = full.denoise(*asked)
        assert np.linalg.norm(model.denoise(*asked) - right) < 0.03 * np.linalg.norm(right)
