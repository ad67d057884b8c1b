"""Rows, buckets, and the promise that a row's bits never depend on its company."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mezzotint.errors import ModelError
from mezzotint.models import BUNDLED, Model, TruncatedPromptWarning
from mezzotint.models.runtime import bucket, pad_rows

Opened = Callable[[str, str], Model]
both = pytest.mark.parametrize("runtime", ["openvino", "torch"])


def test_buckets() -> None:
    assert [bucket(n) for n in (1, 2, 3, 5, 16, 17, 64, 65, 200)] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    with pytest.raises(ValueError, match="rows must be 1 or more"):
        bucket(0)
    assert pad_rows(np.array([1, 2]), 4).tolist() == [1, 2, 2, 2]


@both
def test_bits_do_not_depend_on_company(opened: Opened, runtime: str) -> None:
    """Within one padded row count: alone, in any company, in any place."""
    model = opened("second", runtime)
    rng = np.random.default_rng(0)
    one = rng.standard_normal((1, 4, 8, 8)).astype(np.float32)
    text = rng.standard_normal((1, 77, model.text_width)).astype(np.float32)
    t = np.array([321], np.float32)
    alone = model.denoise(one, t, text, rows=4)
    for place in range(3):
        x, ts = (
            rng.standard_normal((3, 4, 8, 8)).astype(np.float32),
            rng.uniform(0, 999, 3).astype(np.float32),
        )
        texts = rng.standard_normal((3, 77, model.text_width)).astype(np.float32)
        x[place], ts[place], texts[place] = one[0], t[0], text[0]
        if place == 1:
            x[0] = np.nan  # a sick row
        assert np.array_equal(model.denoise(x, ts, texts, rows=4)[place], alone[0])


@both
def test_row_counts_agree_closely(opened: Opened, runtime: str) -> None:
    model = opened("second", runtime)
    x = np.random.default_rng(1).standard_normal((1, 4, 8, 8)).astype(np.float32)
    t, text = np.array([5], np.float32), np.ones((1, 77, model.text_width), np.float32)
    assert np.abs(model.denoise(x, t, text, rows=1) - model.denoise(x, t, text, rows=4)).max() < 1e-5
    with pytest.raises(ValueError, match="do not fit"):
        model.denoise(np.repeat(x, 3, 0), np.repeat(t, 3), np.repeat(text, 3, 0), rows=2)


@both
def test_results_are_the_callers(opened: Opened, runtime: str) -> None:
    """A later call does not change what an earlier one gave."""
    model = opened("second", runtime)
    x, t, text = np.ones((1, 4, 8, 8), np.float32), np.ones(1, np.float32), model.encode_text("a cat")[None]
    first, picture = model.denoise(x, t, text), model.decode_float(x)
    saved, saved_picture = first.copy(), picture.copy()
    model.denoise(2 * x, t, text)
    model.decode_float(2 * x)
    assert np.array_equal(first, saved) and np.array_equal(picture, saved_picture)


@both
def test_texts_are_kept(opened: Opened, runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = opened("second", runtime)
    states = model.encode_text("kept")
    with pytest.raises(ValueError, match="read-only"):
        states[0] = 0
    monkeypatch.setattr(model._runtime, "encode", lambda tokens: pytest.fail("encoded twice"))
    assert model.encode_text("kept") is states


def test_the_oldest_text_is_dropped(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    from mezzotint.models import model as module

    model = opened("second", "openvino")
    monkeypatch.setattr(module, "_TEXTS_KEPT", 3)
    model._states.clear()
    for text in ("a", "b", "c", "a", "d"):
        model.encode_text(text)
    assert [text for text, _ in model._states] == ["c", "a", "d"]


def test_a_long_prompt_warns(opened: Opened) -> None:
    with pytest.warns(TruncatedPromptWarning, match="'moon'"):
        opened("second", "openvino").encode_text("cat " * 75 + "moon")


def test_a_decoder_that_overflows_is_said(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    sick, model = np.full((1, 4, 8, 8), np.nan, np.float32), opened("second", "openvino")
    with pytest.raises(ModelError, match=r"the decoder gave NaN or infinity$"):
        model.decode(sick)
    monkeypatch.setattr(model, "dtype", "bfloat16")
    with pytest.raises(ModelError, match="after bfloat16; try dtype='float32'"):
        model.decode(sick)


def test_rows_worth_sending(opened: Opened) -> None:
    model = opened("first", "openvino")
    assert [model.max_rows_at(n, n) for n in (8, 16, 32, 64, 256)] == [64, 32, 8, 2, 2]
    model._device_bytes = 1 << 20
    assert model.max_rows_at(8, 8) == 2
    model._device_bytes = None


def test_bundled_models_are_described() -> None:
    for name, model in BUNDLED.items():
        assert model.name == name and model.description and model.licence and model.size[0] >= 64
        assert (model.bytes > 0) == model.is_installed
