"""`mezzotint compare`: rows of settings, columns of seeds."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from mezzotint.cli.compare import with_setting
from mezzotint.errors import RequestError
from mezzotint.request import Request


def test_a_row_a_setting(cli: Any, toy: Any) -> None:
    said = cli("compare", "sampler=ddpm steps=9", "sampler=ddim steps=3", "--prompt", "a cat", "-n", "3")
    assert said.code == 0
    assert [line.split(": ")[0] for line in said.lines[:2]] == [
        "sampler=ddpm steps=9",
        "sampler=ddim steps=3",
    ]
    assert "9 evaluations each" in said.lines[0] and "3 evaluations each" in said.lines[1]
    with Image.open("out/compare.png") as sheet:
        wide, high = sheet.size
    cli("compare", "steps=3", "--prompt", "a cat", "-n", "5", "--out", "more.png")
    with Image.open("more.png") as sheet:
        assert sheet.width > wide and sheet.height < high


def test_settings_are_fields_of_a_request() -> None:
    request = with_setting(
        Request("a cat"), """steps=7 eta=0.5 sampler=ddim guidance='cfg(3) + color("red")'"""
    )
    assert (request.steps, request.eta, request.prompt) == (7, 0.5, "a cat")
    assert str(request.guidance) == 'cfg(3) + color("#ff0000", effect=0.05)'


def test_expressions_need_no_quotes_around_them() -> None:
    request = with_setting(
        Request("a cat"), """guidance=cfg(3, stop=0.8) + clip('a red rose', effect=0.1) steps=7"""
    )
    assert request == Request("a cat", steps=7, guidance='cfg(3, stop=0.8) + clip("a red rose", effect=0.1)')


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("step=4", "did you mean 'steps'"),
        ("steps", "write field=value"),
        ("steps=many", "steps is a number"),
        ("steps=0", "from 1 to 2000"),
        ("guidance='cfg(", "cannot be read"),
    ],
)
def test_bad_settings_are_one_clear_error(setting: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        with_setting(Request(), setting)
