"""Guidance expressions: what is written is what is read."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mezzotint.errors import RequestError
from mezzotint.guidance import Cfg, Guidance, parse

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SCALES = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def guidances(draw: st.DrawFn) -> Guidance:
    """Up to three scales that follow one another."""
    cuts = sorted(draw(st.sets(st.floats(0, 1), min_size=2, max_size=4)))
    return Guidance(tuple(Cfg(draw(SCALES), a, b) for a, b in pairwise(cuts)))


@UNHURRIED
@given(guidances())
def test_round_trip(guidance: Guidance) -> None:
    assert parse(str(guidance)) == guidance
    assert str(parse(str(guidance))) == str(guidance)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("cfg(7.5)", "cfg(7.5)"),
        ("cfg(8.0)", "cfg(8)"),
        (" cfg( scale = 7.5 ,start=.1, stop=0.80) ", "cfg(7.5, start=0.1, stop=0.8)"),
        ("cfg(7.5, 0.1, 0.8)", "cfg(7.5, start=0.1, stop=0.8)"),
        ("cfg(-1)", "cfg(-1)"),
        ("cfg(-0.0)", "cfg(0)"),
        ("cfg(0.01)", "cfg(0.01)"),
        ("cfg(1e-3)", "cfg(0.001)"),
        ("cfg(7, stop=0.5)+cfg(3, start=0.5)", "cfg(7, stop=0.5) + cfg(3, start=0.5)"),
        ("", "none"),
        (" none ", "none"),
        ("5", "cfg(5)"),
        (" 7.50 ", "cfg(7.5)"),
        ("1.01", "cfg(1.01)"),
        ("1", "none"),
        ("0.5", "none"),
        ("0", "none"),
        ("-0.0", "none"),
    ],
)
def test_canonical_text(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cgf(7.5)", "no guidance is called 'cgf'; known: cfg, mix, color, clip,"),
        ("7.5 + cfg(1)", "'7.5' is not a term; write name(numbers), such as cfg(7.5)"),
        ("-1", "a guidance scale is 0 or more, got -1; for the formula write cfg(-1)"),
        ("9" * 400, "cfg: scale must be a finite number"),
        ("cfg", "'cfg' is not a term"),
        ("cfg()", "cfg needs scale, start, stop, adaptive in this order; got 'cfg()'"),
        ("cfg(7.5", "cannot be read; write terms such as cfg(7.5), joined by +"),
        ("cfg(7.5) - cfg(1)", "is not a term"),
        ("cfg(7.5, begin=0.1)", "cfg has no 'begin'; it takes scale, start, stop"),
        ("cfg(7.5, strat=0.1)", "did you mean 'start'?"),
        ("cfg(7.5, scale=2)", "cfg is given scale twice"),
        ("cfg(1, 0, 1, 0, 2)", "cfg takes scale, start, stop, adaptive; got 5 values"),
        ("cfg(1, **{})", "cfg has no '**'"),
        ("cfg(nan)", "cfg: 'nan' is not a plain number or text"),
        ("cfg(1e999)", "cfg: scale must be a finite number, got inf"),
        ("cfg(1j)", "cfg: scale must be a finite number, got 1j"),
        ("cfg(True)", "cfg: scale must be a finite number, got True"),
        ("cfg('7.5')", "cfg: scale must be a finite number, got '7.5'"),
        ("cfg(10**400)", "is not a plain number"),
        ("cfg(" + "9" * 400 + ")", "cfg: scale must be a finite number"),
        ("cfg(7.5, start=0.8, stop=0.2)", "0 <= start < stop <= 1"),
        ("cfg(7.5, stop=1.1)", "0 <= start < stop <= 1"),
        ("cfg(7.5, start=0.5, stop=0.5)", "0 <= start < stop <= 1"),
        ("cfg(7.5) + cfg(3)", "two cfg act at the same steps"),
        ("cfg(7, stop=0.6) + cfg(3, start=0.5)", "two cfg act at the same steps"),
        ("__import__('os').system('true')", "is not a term"),
        ("cfg(__import__('os'))", "is not a plain number or text"),
        ("cfg(7.5)\x00", "cannot be read"),
        ("(" * 1500, "cannot be read"),
        ("-" * 1999 + "1", "something nested this deep is not a term"),
        ("cfg(" + "-" * 1900 + "1)", "something nested this deep is not a plain number"),
        ("+".join(["cfg(1)"] * 1000), "at most 2000 characters"),
    ],
)
def test_errors_say_what_to_write(text: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@UNHURRIED
@given(st.text(max_size=40) | st.text("cfg(,)+=.0123456789 startop-*'", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        guidance = parse(text)
    except RequestError:
        with pytest.raises(RequestError, match=r"\A[^\n]+\Z"):
            parse(text)
    else:
        assert parse(str(guidance)) == guidance


def test_sums() -> None:
    early, late = Cfg(7, stop=0.5), Cfg(3, start=0.5)
    assert early + late == Guidance((early, late))
    assert Guidance() + early == Guidance((early,))
    assert early + Guidance((late,)) == early + late
    with pytest.raises(RequestError):
        Cfg(1) + Cfg(2)


def test_the_steps_on_which_it_acts() -> None:
    assert Cfg(2, start=0.5).acts(4).tolist() == [False, False, True, True]
    assert not Cfg(2, stop=1e-9).acts(2000).any()


def test_scales_of_the_steps() -> None:
    assert Guidance().scales(3).tolist() == [1, 1, 1]
    assert Guidance((Cfg(7.5),)).scales(3).tolist() == [7.5, 7.5, 7.5]
    assert parse("cfg(2, start=0.1, stop=0.7)").scales(30).tolist() == [1] * 3 + [2] * 18 + [1] * 9
    assert parse("cfg(7, stop=0.5) + cfg(0.01, start=0.5)").scales(4).tolist() == [7, 7, 0.01, 0.01]
    assert np.flatnonzero(parse("cfg(2, start=0.07)").scales(100) == 2)[0] == 7  # 0.07 * 100 > 7 in floats
    for steps in range(1, 200):  # every step is guided once by intervals that meet
        scales = sum(
            parse(f"cfg(2, start={k / 10}, stop={(k + 1) / 10})").scales(steps) - 1 for k in range(10)
        )
        assert np.all(scales == 1)
