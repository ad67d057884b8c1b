"""Evaluation: fixed cases, colors by name, honest intervals, and a judge that opens from its folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mezzotint.data.compose import PALETTE
from mezzotint.errors import ModelError
from mezzotint.evaluation.cases import FAMILIAR, FREE, NUMBERS, Case, border_color, cases, right
from mezzotint.models.image_text import ImageText
from mezzotint.stats import wilson

OBJECTS = [*FAMILIAR, *(f"thing {i}" for i in range(50))]
HELD = [(f"thing {i}", "noto") for i in range(10)]


class Oracle:
    """Ranks what it is told first."""

    def __init__(self, *first: str):
        self.first = first

    def rank(self, image: Image.Image, choices: list[str]) -> list[str]:
        return [*(c for c in self.first if c in choices), *(c for c in choices if c not in self.first)]


def listed() -> list[Case]:
    return cases(OBJECTS, HELD, {"noto": "noto"}, 8)


def test_the_cases_are_fixed_and_of_every_kind() -> None:
    assert listed() == listed()
    kinds = {case.kind for case in listed()}
    assert kinds == {"ordinary", "seen", "held-out", "color", "count", "two objects", "place", "free wording"}
    held = {name for name, _ in HELD}
    assert not any(case.kind == "seen" and case.object in held for case in listed())
    assert sum(case.kind == "free wording" for case in listed()) == len(FREE)


def test_every_wanted_answer_can_be_given() -> None:
    for case in listed():
        if case.choices:
            assert set(case.wanted) <= set(case.choices), case
    counted = [case for case in listed() if case.kind == "count"]
    assert all(case.prompt in case.choices and len(case.choices) == len(NUMBERS) for case in counted)


@pytest.mark.parametrize("name", PALETTE)
def test_the_border_has_the_name_of_its_color_whatever_is_inside(name: str) -> None:
    image = Image.new("RGB", (128, 128), PALETTE[name])
    image.paste((1, 200, 99), (10, 10, 118, 118))
    assert border_color(image) == name


def test_right_and_wrong() -> None:
    blank = Image.new("RGB", (8, 8))
    seen = Case("seen", "a cat", ("cat",))
    assert right(seen, blank, Oracle("dog", "rose", "owl", "pizza", "cat"), OBJECTS)  # type: ignore[arg-type]
    assert not right(seen, blank, Oracle("dog", "rose", "owl", "pizza", "key", "cat"), OBJECTS)  # type: ignore[arg-type]
    both = Case("two objects", "a cat and a dog", ("cat", "dog"))
    assert right(both, blank, Oracle("dog", "cat"), OBJECTS)  # type: ignore[arg-type]
    assert not right(both, blank, Oracle("dog", *OBJECTS[6:20]), OBJECTS)  # type: ignore[arg-type]
    count = Case("count", "two cats", ("two cats",), ("one cat", "two cats"))
    assert not right(count, blank, Oracle("one cat"), OBJECTS)  # type: ignore[arg-type]


def test_the_interval_holds_the_share_and_narrows() -> None:
    low, high = wilson(8, 10)
    assert low < 0.8 < high
    assert wilson(800, 1000)[0] > low
    assert wilson(0, 10)[0] == pytest.approx(0, abs=1e-9)


def test_a_pair_opens_and_ranks_by_similarity(tmp_path: Path) -> None:
    from transformers import CLIPConfig, CLIPModel

    from support.tiny import make_tokenizer

    tokenizer = make_tokenizer(tmp_path)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**small, "vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id}
    vision = {**small, "image_size": 16, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(tmp_path)
    half = [0.5, 0.5, 0.5]
    facts = {"size": {"height": 16, "width": 16}, "image_mean": half, "image_std": half}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(facts))
    pair, image = ImageText.open(tmp_path), Image.new("RGB", (32, 32), "red")
    texts = ["the cat", "moon", "on"]
    similarity = pair.embed_texts(texts) @ pair.embed_images([image])[0]
    assert np.linalg.norm(pair.embed_texts(texts), axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert pair.rank(image, texts) == [texts[i] for i in np.argsort(-similarity)]


def test_what_is_not_a_pair_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no image-text pair"):
        ImageText.open(tmp_path)
    (tmp_path / "config.json").write_text('{"architectures": ["GPT2Model"]}')
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(ModelError, match="GPT2Model"):
        ImageText.open(tmp_path)
