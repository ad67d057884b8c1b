"""Token ids are those of transformers' CLIPTokenizer, whatever the text; long ones are cut loudly."""

from __future__ import annotations

import random
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from mezzotint.errors import ModelError
from mezzotint.models import TruncatedPromptWarning
from mezzotint.models.texts.tokenizer import ClipTokenizer
from support import tiny

CORPUS = [
    "",
    " ",
    "a cat",
    "The CAT\ton  the\n\nmoon ",
    "it's they're we'll I'd I'm you've don't can't 's 't",
    "1234 3.14 x2 2x ½ ² ٣ Ⅻ",
    "café cafe\u0301 Å A\u030a ﬁ ﬀ ß ẞ İ \u0131 ς Σ",
    "東京タワー 서울 กรุงเทพ हिन्दी العربية עברית",
    "👩‍👩‍👧‍👦 🏎️ 🇫🇷 ❤️‍🔥",
    "<|startoftext|> the <|endoftext|> cat",
    "<|STARTOFTEXT|> <|endoftext|><|endoftext|>!",
    "!!! ! a!b !cat! ?!",
    "\u00a0non\u2003breaking\u3000spaces\u200bzero\ufeffwidth\x1c\x1f\x00\x85",
    "(cat:1.3) [moon] {x|y} a_b-c/d\\e",
    "zalgo z\u0335\u0301\u0302\u0303a\u0336\u0301l\u0337g\u0338o",
    "\ud7a3\u1100\u1161\u11a8 \u0344 \u2126 \u212b",
    "word" * 200,
]


def _random_texts(n: int) -> list[str]:
    rng = random.Random(0)
    pools = [
        "catmoontheing ",
        "ABCÉ é'\u2019\"!?.,;:",
        "0123٣४",
        "\t\n \u3000\x1c\u2028",
        "漢字ひらがな한글",
        "\u0301\u0327👍🏽\u200d",
    ]
    return ["".join(rng.choice(rng.choice(pools)) for _ in range(rng.randrange(60))) for _ in range(n)]


@pytest.fixture(scope="module", params=["<|endoftext|>", "!"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ClipTokenizer, object]:
    folder = tmp_path_factory.mktemp("tokenizer")
    theirs = tiny.make_tokenizer(folder, pad=request.param)
    return ClipTokenizer(folder), theirs


def _theirs(tokenizer: object, text: str) -> list[int]:
    return tokenizer(text, padding="max_length", max_length=77, truncation=True).input_ids  # type: ignore[operator]


@pytest.mark.filterwarnings("ignore::mezzotint.models.TruncatedPromptWarning")
def test_equal_to_transformers(pair: tuple[ClipTokenizer, object]) -> None:
    ours, theirs = pair
    for text in [*CORPUS, *_random_texts(400)]:
        assert ours(text).tolist() == [_theirs(theirs, text)], text


def test_files_that_transformers_writes_today(pair: tuple[ClipTokenizer, object], tmp_path: Path) -> None:
    """One tokenizer.json instead of vocab.json and merges.txt."""
    ours, theirs = pair
    theirs.save_pretrained(tmp_path)  # type: ignore[attr-defined]
    assert not (tmp_path / "vocab.json").exists()
    again = ClipTokenizer(tmp_path)
    for text in CORPUS[:5]:
        assert (again(text) == ours(text)).all(), text


def test_the_first_lost_word_is_named(pair: tuple[ClipTokenizer, object]) -> None:
    ours, _ = pair
    words = " ".join(["cat"] * 75)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ours(words)[0, -2] == ours("cat")[0, 1]  # exactly full
    with pytest.warns(TruncatedPromptWarning, match="'Zebra'"):
        ours(words + "  Zebra moon")
    with pytest.warns(TruncatedPromptWarning, match="'\\(Zebra\\),'"):
        ours(" ".join(["cat"] * 74) + " (Zebra), moon")  # named though its first token is read


@pytest.mark.filterwarnings("ignore::mezzotint.models.TruncatedPromptWarning")
@pytest.mark.parametrize(
    "long",
    [
        "cat on the moon, " * 60_000,
        "x" * 1_000_000,
        "cat" * 340_000,
        " " * 1_000_000 + "cat",
        "!?" * 500_000,
        "e\u0301" * 400_000,
    ],
    ids=["words", "one letter", "one word", "spaces", "signs", "accents"],
)
def test_a_megabyte_is_quick_and_changes_nothing(pair: tuple[ClipTokenizer, object], long: str) -> None:
    ours, theirs = pair
    begin = time.process_time()
    ids = ours(long)
    assert time.process_time() - begin < 0.5
    assert ids.tolist() == [_theirs(theirs, long if long.startswith(" ") else long[:40_000])]


def test_ids(pair: tuple[ClipTokenizer, object]) -> None:
    ours, theirs = pair
    ids = ours("cat")
    assert ids.shape == (1, 77) and ids.dtype == np.int64
    assert ids[0, 3:].tolist() == [theirs.pad_token_id] * 74  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name, content", [("vocab.json", "{"), ("merges.txt", "a b c\n"), ("vocab.json", '{"a": 0}')]
)
def test_a_damaged_vocabulary(tmp_path: Path, name: str, content: str) -> None:
    tiny.make_tokenizer(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(ModelError) as error:
        ClipTokenizer(tmp_path)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)
