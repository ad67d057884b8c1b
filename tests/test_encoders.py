"""Which encoder reads the texts: expressions are read, canonical, and refused with what to write instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.errors import RequestError
from mezzotint.expressions import ENCODERS, Mixture, Share, parse_encoder
from mezzotint.request import Request

CANONICAL = {
    "": "",
    " clip ": "",
    "1*clip": "",
    "bert": "bert",
    "1.0 * bert": "bert",
    ".7*clip+0.30*bert": "0.7*clip + 0.3*bert",
    "clip + -0.5*norm-matched": "clip + -0.5*norm-matched",
    "0*bert + clip": "",
    "2e0*random": "2*random",
    "path/to/bert": "path/to/bert",
    "'path/to/bert'": "path/to/bert",
    "'./my + bert' + 0.5*clip": '"./my + bert" + 0.5*clip',
    "owner/bert-base_2.0": "owner/bert-base_2.0",
}


@pytest.mark.parametrize("text", CANONICAL)
def test_one_mixture_has_one_text(text: str) -> None:
    assert str(parse_encoder(text)) == CANONICAL[text] == Request(encoder=text).encoder


WEIGHTS = st.floats(-10, 10).filter(bool)
PLACES = st.text(st.characters(codec="ascii", exclude_characters="\"'\n"), min_size=1).map(
    lambda text: text + "/x"
)


@given(st.dictionaries(st.sampled_from(ENCODERS) | PLACES, WEIGHTS, min_size=1, max_size=6))
def test_what_is_written_is_read_back(shares: dict[str, float]) -> None:
    mixture = Mixture(tuple(Share(name, weight) for name, weight in shares.items()))
    assert parse_encoder(str(mixture)) == mixture


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bort", "did you mean 'bert'"),
        ("bert-adaptd", "did you mean 'bert-adapted'"),
        ("bert clip", "joined by +"),
        ("bert +", "joined by +"),
        ("bert*0.5", "joined by +"),
        ("0.5", "no encoder is called"),
        ("bert + bert", "named twice"),
        ("0*bert", "weighs everything 0"),
        ("11*bert", "from -10 to 10"),
        ("1e999*bert", "from -10 to 10"),
        ("1.2.3*bert", "not a number"),
        ("'bert", "cannot be read"),
        ("'a\n/b'", "no encoder"),
        (" + ".join(f"a/{i}" for i in range(9)), "at most 8"),
        ("bert" * 300, "at most 1000 characters"),
        (None, "must be text"),
    ],
)
def test_mistakes_are_told_in_a_line(text: str, said: str) -> None:
    with pytest.raises(RequestError, match=said.replace("+", r"\+")) as error:
        Request(encoder=text)
    assert "\n" not in str(error.value)
