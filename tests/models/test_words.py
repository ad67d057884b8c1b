"""New words: read as diffusers' `load_textual_inversion` reads them, in both formats, refused where they do not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import tiny
from mezzotint.errors import ModelError, RequestError
from mezzotint.models import Model, keep_word, open_model
from mezzotint.models.texts.words import FILE_NAME, files_in
from mezzotint.request import Request

WIDTH, TEXT = 32, "a <gloss> cat on the <two>moon"


class Made(NamedTuple):
    folder: Path
    pipeline: Any


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("words")


@pytest.fixture(scope="module")
def made(home: Path) -> Made:
    return Made(home / "model", tiny.make_pipeline(home / "model"))


@pytest.fixture(autouse=True)
def cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    return home / "cache" / "mezzotint"


@pytest.fixture(scope="module")
def opened(made: Made, home: Path) -> Callable[[str], Model]:
    models: dict[str, Any] = {}

    def get(runtime: Any) -> Model:
        if runtime not in models:
            models[runtime] = open_model(made.folder, runtime, "float32", 1, home / "compiled")
        return models[runtime]  # type: ignore[no-any-return]

    return get


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
    made: Made, opened: Callable[[str], Model], tmp_path: Path, runtime: str
) -> None:
    """A word of one token in diffusers' form, one of two in A1111's."""
    gloss = one(tmp_path / "word" / FILE_NAME)
    two = one(tmp_path / "<two>.safetensors", "emb_params", 1, 2)
    model = opened(runtime)
    plain = model.encode_text(TEXT)
    words = f"{keep_word(two)} {keep_word(gloss.parent)}"
    ours = model.worded(words).encode_text(TEXT)
    pipeline = made.pipeline
    try:
        pipeline.load_textual_inversion(gloss)
        pipeline.load_textual_inversion(two, token="<two>")
        reference = theirs(pipeline, TEXT)
        assert np.abs(ours - reference).max() < 2e-5 * np.abs(reference).max()
        assert (
            np.abs(theirs(pipeline, "a <GLOSS>") - model.worded(words).encode_text("a <GLOSS>")).max() < 1e-4
        )
    finally:
        pipeline.unload_textual_inversion()
    assert np.abs(ours - plain).max() > 0.1, "they say something else than their letters"
    assert np.array_equal(model.encode_text(TEXT), plain), "the model itself is as it was"
    assert model.worded("") is model and model.worded(words) is model.worded(words)


def test_where_a_word_stands(opened: Callable[[str], Model], tmp_path: Path) -> None:
    two = keep_word(one(tmp_path / "x.safetensors", "<two>", 1, 2))
    spans = dict(opened("openvino").worded(str(two)).spans("the <two> cat"))
    assert spans["<two>"] == (2, 3) and spans["cat"] == (4,)


def test_weights_and_cuts_count_its_tokens(opened: Callable[[str], Model], tmp_path: Path) -> None:
    """Seventy tokens and five more fill a text; a weight is that of each of them."""
    model = opened("openvino").worded(str(keep_word(one(tmp_path / "x.safetensors", "<long>", 2, 70))))
    assert model.encode("<long> the the the the the")[1] is None
    assert model.encode("<long> the the the the the cat")[1] is not None
    assert not np.allclose(model.encode_text("(<long>:1.5)"), model.encode_text("<long>"))


def test_it_is_kept_by_its_content(cache: Path, tmp_path: Path) -> None:
    word = keep_word(one(tmp_path / FILE_NAME))
    assert str(word) == str(keep_word(tmp_path)) and word.name == "<gloss>"
    assert keep_word(tmp_path, "<other>") == replace(word, name="<other>")
    assert (cache / "words" / f"{word.digest}.safetensors").read_bytes() == (
        tmp_path / FILE_NAME
    ).read_bytes()


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
        ({}, "holds 0 tensors; the file of a word holds one"),
        ({"clip_l": rows(1, 0), "clip_g": rows(1, 0)}, "holds 2 tensors"),
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


def test_what_does_not_fit_is_told_before_any_work(opened: Callable[[str], Model], tmp_path: Path) -> None:
    model = opened("openvino")
    wide = keep_word(one(tmp_path / "a.safetensors", width=48))
    with pytest.raises(ModelError, match="<gloss> is 48 numbers wide, the model's are 32"):
        model.check_words(str(wide))
    with pytest.raises(ModelError, match="'cat' is a word of this model already"):
        model.check_words(str(keep_word(one(tmp_path / "b.safetensors"), "cat")))
    with pytest.raises(RequestError, match=r"<x>: no word aaaaaaaaaa is kept here; .* --word FILE"):
        model.check_words(f"<x>={A}")
    save_file({"<x>": np.full((1, WIDTH), np.nan, np.float32)}, tmp_path / "c.safetensors")
    with pytest.raises(ModelError, match="the word <x> holds NaN or infinity"):
        model.worded(str(keep_word(tmp_path / "c.safetensors")))
