"""The folded picture side of a CLIP is that of transformers, forward and backward; pairs open or say why not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mezzotint.errors import ModelError
from mezzotint.models.image_text import ImageText
from mezzotint.models.steering.image_tower import autograd_features
from mezzotint.models.steering.open_clip_pair import OpenClipPair
from support.tiny_pair import MEAN, STD, features, make_pair


@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
def test_features_and_gradient_are_those_of_transformers(act: str, tmp_path: Path) -> None:
    model = make_pair(tmp_path, act)
    x = torch.rand(5, 3, 16, 16).requires_grad_()
    expected = features(model, x)
    g = torch.randn_like(expected)
    (slope,) = torch.autograd.grad(expected, x, g)
    found, back = ImageText.open(tmp_path).features(x.detach(), torch.float32)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(back(g), slope, rtol=1e-3, atol=1e-4)


def test_a_network_that_cannot_be_folded_is_differentiated() -> None:
    x, net = torch.rand(2, 3, 4, 4), nn.Sequential(nn.Flatten(), nn.Linear(48, 5))
    found, back = autograd_features(net, x, torch.float32, MEAN, STD)
    g, step = torch.randn(2, 5), torch.randn(x.shape)
    moved, _ = autograd_features(net, x + step, torch.float32, MEAN, STD)
    torch.testing.assert_close(((moved - found) * g).sum(), (back(g) * step).sum(), rtol=1e-3, atol=1e-3)


def test_the_bundled_pair_in_bfloat16_points_the_same_way() -> None:
    pair, x, g = ImageText.open("clip"), torch.rand(4, 3, 64, 64), torch.randn(4, 128)
    full, half = (
        pair.features(x, dtype)[1](g).float().flatten(1) for dtype in (torch.float32, torch.bfloat16)
    )
    assert torch.nn.functional.cosine_similarity(full, half).min() > 0.999


def test_what_is_wrong_with_a_pair_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no image-text pair 'clipp'.*did you mean 'clip'"):
        ImageText.open("clipp")
    make_pair(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file(
        {k: v for k, v in weights.items() if "visual_projection" not in k}, tmp_path / "model.safetensors"
    )
    with pytest.raises(ModelError, match=r"visual_projection\.weight is missing"):
        ImageText.open(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="does not open"):
        ImageText.open(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(ModelError, match=r"holds no \.safetensors"):
        ImageText.open(tmp_path)


def test_sizes_of_preprocessors_of_any_age(tmp_path: Path) -> None:
    make_pair(tmp_path)
    facts = {"image_mean": MEAN, "image_std": STD, "do_center_crop": True}
    for size in (16, {"shortest_edge": 16}, {"height": 16, "width": 16}):
        (tmp_path / "preprocessor_config.json").write_text(
            json.dumps({**facts, "size": 99, "crop_size": size})
        )
        assert ImageText.open(tmp_path).size == 16
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": MEAN, "image_std": STD}))
    with pytest.raises(ModelError, match=r"preprocessor_config\.json lacks"):
        ImageText.open(tmp_path)


class Both(nn.Module):
    """As open_clip's models look from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.visual, self.words = nn.Sequential(nn.Flatten(), nn.Linear(48, 6)), nn.Embedding(300, 6)

    def encode_image(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.visual(x)
        return out

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.words(tokens).sum(1)  # type: ignore[no-any-return]


def open_clip(made: list[tuple[str, str]]) -> Any:
    def create(name: str, pretrained: str) -> Both:
        made.append((name, pretrained))
        return Both()

    return SimpleNamespace(
        list_models=lambda: ["ViT-B-32"],
        list_pretrained_tags_by_model=lambda name: ["laion", "old"],
        get_pretrained_cfg=lambda name, tag: {"hf_hub": ""},
        create_model=create,
        get_model_preprocess_cfg=lambda model: {"size": (4, 4), "mean": MEAN, "std": STD},
        get_tokenizer=lambda name: lambda texts: torch.tensor([[ord(c) for c in text] for text in texts]),
    )


def test_pairs_of_open_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, str]] = []
    monkeypatch.setitem(sys.modules, "open_clip", open_clip(made))
    weights = tmp_path / "weights.safetensors"
    weights.touch()
    pair = OpenClipPair.open(f"open_clip:ViT-B-32/{weights}")
    assert made == [("ViT-B-32", str(weights))]
    text = pair.embed_texts(["cat"])
    assert torch.tensor(text).norm() == pytest.approx(1, abs=1e-5)
    found, back = pair.features(torch.rand(2, 3, pair.size, pair.size), torch.float32)
    assert found.shape == (2, 6)
    assert back(torch.ones(2, 6)).abs().sum() > 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("open_clip:ViT-B-23/laion", "did you mean 'ViT-B-32'"),
        ("open_clip:ViT-B-32", "write open_clip:"),
        ("open_clip:ViT-B-32/lain", "did you mean 'laion'"),
        ("open_clip:ViT-B-32/old", "only offered as a pickle"),
    ],
)
def test_what_is_wrong_with_an_open_clip_pair_is_named(
    name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", open_clip([]))
    with pytest.raises(ModelError, match=said):
        OpenClipPair.open(name)


def test_open_clip_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ModelError, match=r'pip install "mezzotint\[open-clip\]"'):
        OpenClipPair.open("open_clip:ViT-B-32/laion")
