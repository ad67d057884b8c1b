"""The package's face."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

import mezzotint
from mezzotint import ModelError, Picture, Request, RequestError, generate, models
from toy import Toy

REQUEST = Request("a cat", steps=4)


def test_pictures_come_in_the_order_asked() -> None:
    asked = [replace(REQUEST, seed=i, steps=9 - i) for i in range(8)]
    assert [picture.request for picture in generate(iter(asked), Toy(max_rows=4))] == asked


def test_one_request_and_plain_prompts() -> None:
    assert [type(p) for p in generate(REQUEST, Toy())] == [Picture]
    assert [p.request for p in generate("a cat", Toy())] == [Request("a cat")]
    assert [p.request for p in generate(["a cat", REQUEST], Toy(), "exact")] == [Request("a cat"), REQUEST]
    assert generate([], Toy()) == []


def test_the_first_error_is_raised_and_the_rest_given_up() -> None:
    toy = Toy(poison=lambda t: float("nan"))
    sick, long = replace(REQUEST, prompt="sick"), replace(REQUEST, steps=2000)
    with pytest.raises(ModelError, match="step 1 of 4"):
        generate([sick, *long.repeat(8)], toy)
    assert len(toy.calls) < 2000


def test_a_request_that_cannot_be_costs_no_call() -> None:
    toy = Toy(side_multiple=32)
    with pytest.raises(RequestError):
        generate([replace(REQUEST, width=72), REQUEST], toy)
    assert toy.calls == []


@pytest.mark.parametrize(
    ("asked", "model", "error", "message"),
    [
        (["a"], 42, ModelError, "model must be a bundled name, a folder or an open model, got int"),
        (42, None, RequestError, "requests must be a Request, a prompt or several, got int"),
        ([42], Toy(), RequestError, "a Request is needed, got int"),
    ],
)
def test_what_is_of_another_type_is_named(
    asked: Any, model: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        generate(asked, model)


@pytest.mark.parametrize(("model", "opened"), [(None, ()), ("emoji", ("emoji",))])
def test_models_are_opened_by_name(monkeypatch: pytest.MonkeyPatch, model: str | None, opened: Any) -> None:
    names: list[Any] = []

    def open_model(*args: Any) -> Toy:
        names.append(args)
        return Toy()

    monkeypatch.setattr(models, "open_model", open_model)
    generate(REQUEST, model)
    assert names == [opened]


def test_every_exported_name_is_there_and_no_other() -> None:
    assert mezzotint.__version__ == "0.1.0"
    for name in mezzotint.__all__:
        assert getattr(mezzotint, name) is not None
    assert dir(mezzotint) == sorted(mezzotint.__all__)
    with pytest.raises(AttributeError, match="no attribute 'genrate'"):
        _ = mezzotint.genrate


@pytest.mark.parametrize(
    ("code", "forbidden"),
    [
        ("import mezzotint", {"numpy", "PIL", "torch", "mezzotint.request"}),
        ("import mezzotint.api, mezzotint.errors", {"torch", "openvino", "diffusers", "transformers"}),
    ],
)
def test_nothing_heavy_is_imported(code: str, forbidden: set[str]) -> None:
    out = subprocess.run(
        [sys.executable, "-c", f"{code}, sys; print(*sys.modules)"], capture_output=True, text=True
    )
    assert out.returncode == 0, out.stderr
    assert not forbidden & set(out.stdout.split())
