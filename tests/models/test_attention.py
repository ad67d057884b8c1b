"""Where the denoiser looks: as diffusers' own layers say, from both runtimes, and free for who does not ask."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mezzotint.models import Model, open_model

pytestmark = pytest.mark.processor

Opened = Callable[[str, str], Model]
both = pytest.mark.parametrize("runtime", ["openvino", "torch"])
either = pytest.mark.parametrize("name", ["first", "second"])


def _rows(n: int, model: Model, height: int = 8, width: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, 4, height, width)).astype(np.float32)
    t = rng.uniform(0, 999, n).astype(np.float32)
    return x, t, rng.standard_normal((n, 77, model.text_width)).astype(np.float32)


def theirs(unet: Any, rows: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
    """From what the projections of each layer give, in the order in which a call passes the layers."""
    seen: dict[str, dict[str, torch.Tensor]] = {}
    hooks = [
        layer.get_submodule(which).register_forward_hook(
            lambda module, given, out, name=name, which=which: seen.setdefault(name, {}).update({which: out})
        )
        for name, layer in unet.named_modules()
        if name.endswith("attn2")
        for which in ("to_q", "to_k")
    ]
    x, t, text = map(torch.tensor, rows)
    with torch.no_grad():
        unet(x, t, text)
    for hook in hooks:
        hook.remove()
    return {name: _softmax(unet.get_submodule(name).heads, **found) for name, found in seen.items()}


def _softmax(heads: int, to_q: torch.Tensor, to_k: torch.Tensor) -> np.ndarray:
    q, k = (y.reshape(*y.shape[:2], heads, -1).numpy() for y in (to_q, to_k))
    scores = np.einsum("niha,nmha->nhim", q, k) / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray((weights / weights.sum(-1, keepdims=True)).mean(1))


@both
@either
@pytest.mark.parametrize("size", [(8, 8), (5, 7)])  # odd sizes: halving rounds up
def test_maps_are_those_of_diffusers(
    opened: Opened, request: pytest.FixtureRequest, name: str, runtime: str, size: tuple[int, int]
) -> None:
    unet, model = request.getfixturevalue(name).pipeline.unet, opened(name, runtime)
    rows = _rows(3, model, *size)
    expected = theirs(unet, rows)
    out, maps = model.attend(*rows)
    assert model.attention_layers == tuple(expected)
    for factor, ours, reference in zip(model.attention_factors, maps, expected.values(), strict=True):
        assert ours.dtype == np.float32
        assert ours.shape == (3, -(-size[0] // factor) * -(-size[1] // factor), 77)
        assert np.abs(ours - reference).max() < 2e-6
        assert reference.std(-1).min() > 1e-4  # not the same for all tokens
    # Another graph: a processor may sum in another order, so the last digits of float32 may differ.
    assert np.abs(out - model.denoise(*rows)).max() < 1e-5 * np.abs(out).max()


@both
def test_bits_do_not_depend_on_company(opened: Opened, runtime: str) -> None:
    model = opened("first", runtime)
    x, t, text = _rows(3, model)
    _, company = model.attend(x, t, text, rows=4)
    _, alone = model.attend(x[1:2], t[1:2], text[1:2], rows=4)
    assert all(np.array_equal(a[1], b[0]) for a, b in zip(company, alone, strict=True))
    with pytest.raises(ValueError, match="do not fit"):
        model.attend(x, t, text, rows=2)


def test_torch_listens_during_the_call_alone(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    model = opened("first", "torch")
    unet: Any = model._runtime.unet  # type: ignore[attr-defined]
    before = dict(unet.attn_processors)
    model.attend(*_rows(1, model))
    assert unet.attn_processors == before
    with pytest.raises(RuntimeError):
        model.attend(*_rows(1, model)[:2], np.zeros((1, 77, 5), np.float32))
    assert unet.attn_processors == before


def test_nothing_is_built_for_who_does_not_ask(smallest: Any, tmp_path: Path) -> None:
    model = open_model(smallest.folder, "openvino", "float32", cache=tmp_path)
    x, t, text = _rows(1, model)
    plain = model.denoise(x, t, text)

    def networks() -> set[str]:
        return {folder.rpartition("-")[0] for folder in os.listdir(tmp_path / "networks")}

    before = set(os.listdir(tmp_path / "networks"))
    assert networks() == {"unet", "vae", "text_encoder"}
    assert np.array_equal(model.attend(x, t, text)[0], plain)
    assert networks() == {"unet", "vae", "text_encoder", "unet-attention"}
    assert before < set(os.listdir(tmp_path / "networks"))


@pytest.mark.parametrize(("code", "changes"), [("unet", True), ("layers", True), ("runtime", False)])
def test_networks_are_built_again_where_the_code_of_graphs_changes(
    monkeypatch: pytest.MonkeyPatch, first: Any, tmp_path: Path, code: str, changes: bool
) -> None:
    from mezzotint.models.disk.bundle import read_folder
    from mezzotint.models.openvino.network import ATTENDING, _key

    plain: Any = read_folder(first.folder, "first", tmp_path).unet  # type: ignore[union-attr]
    parts = [plain, replace(plain, name=ATTENDING)]
    before, read = list(map(_key, parts)), Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda path, *more: read(path, *more) + "#" * path.match(f"openvino/{code}.py")
    )
    assert [_key(part) != key for part, key in zip(parts, before, strict=True)] == [changes, changes]
