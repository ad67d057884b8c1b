"""New words: read as diffusers' `load_textual_inversion` reads them, in both formats, refused where they do not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from mezzotint.errors import ModelError, RequestError
from mezzotint.models import Model, keep_word
from mezzotint.models.texts.inversion import FILE_NAME, files_in, keep_word_file
from mezzotint.request import Request
from support.tiny import Made

WIDTH, TEXT = 32, "a <gloss> cat on the <two>moon"


pytestmark = pytest.mark.usefixtures("home_cache")


def rows(count: int, seed: int, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def one(path: Path, name: str = "<gloss>", seed: int = 0, count: int = 1, width: int = WIDTH) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: rows(count, seed, width)}, path)
    return path


@torch.no_grad()
def theirs(pipeline: Any, text: str) -> np.ndarray:
    prompt = pipeline.maybe_convert_prompt(text, pipeline.tokenizer)
    ids = pipeline.tokenizer(prompt, padding="max_length", return_tensors="pt").input_ids
    return pipeline.text_encoder(ids).last_hidden_state[0].numpy()  # type: ignore[no-any-return]


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
def test_texts_are_read_as_by_diffusers(
    home_model: Made, home_opened: Callable[[str], Model], tmp_path: Path, runtime: str
) -> None:
    """A word of one token in diffusers' form, one of two in A1111's."""
    gloss = one(tmp_path / "word" / FILE_NAME)
    two = one(tmp_path / "<two>.safetensors", "emb_params", 1, 2)
    model = home_opened(runtime)
    plain = model.encode_text(TEXT)
    words = f"{keep_word(two)} {keep_word(gloss.parent)}"
    ours = model.with_words(words).encode_text(TEXT)
    pipeline = home_model.pipeline
    try:
        pipeline.load_textual_inversion(gloss)
        pipeline.load_textual_inversion(two, token="<two>")
        reference = theirs(pipeline, TEXT)
        assert np.abs(ours - reference).max() < 2e-5 * np.abs(reference).max()
        assert (
            np.abs(theirs(pipeline, "a <GLOSS>") - model.with_words(words).encode_text("a <GLOSS>")).max()
            < 1e-4
        )
    finally:
        pipeline.unload_textual_inversion()
    assert np.abs(ours - plain).max() > 0.1, "they say something else than their letters"
    assert np.array_equal(model.encode_text(TEXT), plain), "the model itself is as it was"
    assert model.with_words("") is model and model.with_words(words) is model.with_words(words)


def test_where_a_word_stands(home_opened: Callable[[str], Model], tmp_path: Path) -> None:
    two = keep_word(one(tmp_path / "x.safetensors", "<two>", 1, 2))
    spans = dict(home_opened("openvino").with_words(str(two)).spans("the <two> cat"))
    assert spans["<two>"] == (2, 3) and spans["cat"] == (4,)


def test_weights_and_cuts_count_its_tokens(home_opened: Callable[[str], Model], tmp_path: Path) -> None:
    """Seventy tokens and five more fill a text; a weight is that of each of them."""
    model = home_opened("openvino").with_words(
        str(keep_word(one(tmp_path / "x.safetensors", "<long>", 2, 70)))
    )
    assert model.encode("<long> the the the the the")[1] is None
    assert model.encode("<long> the the the the the cat")[1] is not None
    assert not np.allclose(model.encode_text("(<long>:1.5)"), model.encode_text("<long>"))


def test_it_is_kept_by_its_content(home_cache: Path, tmp_path: Path) -> None:
    word = keep_word(one(tmp_path / FILE_NAME))
    assert str(word) == str(keep_word(tmp_path)) and word.name == "<gloss>"
    assert keep_word(tmp_path, "<other>") == replace(word, name="<other>")
    assert (home_cache / "words" / f"{word.digest}.safetensors").read_bytes() == (
        tmp_path / FILE_NAME
    ).read_bytes()


def test_a_file_of_several_words_gives_each(home_opened: Callable[[str], Model], tmp_path: Path) -> None:
    save_file({"<a>": rows(1, 0), "<b>": rows(3, 1)}, tmp_path / "two.safetensors")
    both = keep_word_file(tmp_path / "two.safetensors")
    assert [word.name for word in both] == ["<a>", "<b>"]
    model, alone = home_opened("torch"), keep_word(one(tmp_path / "b.safetensors", "<b>", 1, 3))
    ours = model.with_words(" ".join(map(str, both))).encode_text("the <b> cat")
    assert np.array_equal(ours, model.with_words(str(alone)).encode_text("the <b> cat"))
    with pytest.raises(ModelError, match="holds 2 words, each with a name; leave x= out"):
        keep_word_file(tmp_path / "two.safetensors", "x")


@pytest.mark.parametrize("keys", [("clip_l", "clip_g"), ("clip_g", "clip_l"), ("clip_l",)])
def test_of_two_towers_the_one_that_is_as_wide_is_read(
    home_opened: Callable[[str], Model], tmp_path: Path, keys: tuple[str, ...]
) -> None:
    widths = {"clip_l": WIDTH, "clip_g": 48}
    save_file({key: rows(2, 1, widths[key]) for key in keys}, tmp_path / "gloss.safetensors")
    word = keep_word(tmp_path / "gloss.safetensors")
    assert word.name == "gloss"
    model, alone = home_opened("torch"), keep_word(one(tmp_path / "b.safetensors", "gloss", 1, 2))
    ours = model.with_words(str(word)).encode_text("the gloss")
    assert np.array_equal(ours, model.with_words(str(alone)).encode_text("the gloss"))


def test_a_folder_of_words(tmp_path: Path) -> None:
    files = [one(tmp_path / f"{name}.safetensors", "emb_params") for name in ("worse", "better")]
    assert files_in(tmp_path) == sorted(files)
    assert files_in(one(tmp_path / FILE_NAME).parent) == [tmp_path], "diffusers' file alone"
    (tmp_path / "none").mkdir()
    with pytest.raises(ModelError, match="holds no word"):
        files_in(tmp_path / "none")


A, B = "a" * 64, "b" * 64


def test_the_field_is_canonical_and_old_requests_keep_their_digest() -> None:
    assert '"words"' not in Request("a cat").to_json()
    some = Request(words=f" <b>={A}   <a>={B}")
    assert some.words == f"<a>={B} <b>={A}"
    assert some == Request.from_json(some.to_json()) and some.digest != Request().digest


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("learned_embeds.safetensors", "cannot be read; write WORD=DIGEST"),
        (f"<a>={A[1:]}", "cannot be read"),
        (f"<a>={A} <A>={B}", "<a> is given twice; give another name to one"),
        (f"(a)={A}", "cannot stand in a prompt as a word"),
        (" ".join(f"<{i}>={A}" for i in range(33)), "at most 32 new words are read, got 33"),
        (7, "words must be text"),
    ],
)
def test_bad_expressions(words: Any, said: str) -> None:
    with pytest.raises(RequestError) as error:
        Request(words=words)
    assert said in str(error.value)


def test_other_encoders_read_no_new_words() -> None:
    with pytest.raises(RequestError, match="leave encoder out, or words"):
        Request("a <a>", words=f"<a>={A}", encoder="bert")


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({}, r"is no textual inversion \(0 tensors\)"),
        ({"lora_unet_x.lora_down.weight": rows(1, 0)}, "is a LoRA; give it with --lora"),
        ({"model.diffusion_model.x.weight": rows(1, 0)}, "is a whole model"),
        ({"<x>": rows(1, 0), "<y>": rows(1, 0)}, "holds 2 words; generate"),
        ({"<x>": rows(76, 0)}, "is no embedding of a word"),
        ({"<x>": rows(1, 0)[None]}, "is no embedding of a word"),
    ],
)
def test_what_is_no_word_is_not_kept(tmp_path: Path, tensors: dict[str, np.ndarray], said: str) -> None:
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match=said):
        keep_word(tmp_path / "x.safetensors")
    save_file({"emb_params": rows(1, 0)}, tmp_path / "two words.safetensors")
    with pytest.raises(RequestError, match="cannot stand in a prompt as a word"):
        keep_word(tmp_path / "two words.safetensors")
    with pytest.raises(ModelError, match="may be pickled"):
        keep_word(tmp_path / "x.pt")


def test_what_does_not_fit_is_told_before_any_work(
    home_opened: Callable[[str], Model], tmp_path: Path
) -> None:
    model = home_opened("openvino")
    wide = keep_word(one(tmp_path / "a.safetensors", width=48))
    with pytest.raises(ModelError, match="<gloss> is 48 numbers wide, the model's are 32"):
        model.check_words(str(wide))
    with pytest.raises(ModelError, match="'cat' is a word of this model already"):
        model.check_words(str(keep_word(one(tmp_path / "b.safetensors"), "cat")))
    with pytest.raises(RequestError, match=r"<x>: no word aaaaaaaaaa is kept here; .* --word FILE"):
        model.check_words(f"<x>={A}")
    save_file({"<x>": np.full((1, WIDTH), np.nan, np.float32)}, tmp_path / "c.safetensors")
    with pytest.raises(ModelError, match="the word <x> holds NaN or infinity"):
        model.with_words(str(keep_word(tmp_path / "c.safetensors")))
