"""The package's face."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import mezzotint
from mezzotint import ModelError, Picture, Request, RequestError, generate, models
from support.toy import Toy

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


def test_generate_takes_fields_of_a_request() -> None:
    [picture] = generate("a cat", Toy(), steps=4, seed=7)
    assert picture.request == Request("a cat", steps=4, seed=7)
    assert [p.request.steps for p in generate([REQUEST, "a dog"], Toy(), steps=3)] == [3, 3]
    with pytest.raises(RequestError, match="no 'step'; did you mean 'steps'"):
        generate("a cat", Toy(), step=4)


class Encoding(Toy):
    """Every picture is encoded as the same latents."""

    def encode_picture(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        shape = (self.latent_channels, pixels.shape[0] // self.vae_factor, pixels.shape[1] // self.vae_factor)
        return np.zeros(shape, np.float32), np.zeros(shape, np.float32)


def test_generate_starts_from_a_file_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = tmp_path / "start.png"
    Image.new("RGB", (64, 64), "teal").save(place)
    [picture] = generate("a cat", Encoding(), steps=8, init=place)
    assert (picture.request.begin, len(picture.request.init)) == (4, 64)
    assert generate("a cat", Encoding(), steps=8, init=str(place))[0].request == picture.request
    [masked] = generate("a cat", Encoding(), steps=8, init=place, mask=place)
    assert masked.request.begin == 0 and masked.request.mask


def test_engine_opens_a_model_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "open_model", lambda *names: Toy())
    with mezzotint.Engine("emoji") as engine:
        assert engine.submit(REQUEST).result().request == REQUEST


def test_request_replace_changes_one_field() -> None:
    assert REQUEST.replace(seed=8) == replace(REQUEST, seed=8)
    with pytest.raises(RequestError, match="no 'sed'; did you mean 'seed'"):
        REQUEST.replace(sed=8)


def test_picture_bytes_are_the_file_that_is_saved(tmp_path: Path) -> None:
    [picture] = generate(REQUEST, Toy())
    picture.save(tmp_path / "cat.png")
    assert (tmp_path / "cat.png").read_bytes() == picture.to_bytes() == picture._repr_png_()


def test_guidance_terms_are_exported_and_documented_fields_too() -> None:
    assert str(Request(guidance=mezzotint.Cfg(5)).guidance) == "cfg(5)"
    source = inspect.getsource(Request)
    for field in fields(Request):
        assert re.search(rf'    {field.name}: .*\n    """', source), field.name


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("step", "did you mean 'steps'"),
        ("num_inference_steps", "it is steps"),
        ("guidance_scale", "it is guidance"),
    ],
)
def test_names_of_other_tools_are_answered_with_ours(field: str, meant: str) -> None:
    toy, fields = Toy(), {field: 5}
    with pytest.raises(RequestError, match=meant):
        generate("a cat", toy, "fast", **fields)
    with pytest.raises(RequestError, match=meant):
        REQUEST.replace(**fields)
    assert toy.calls == []
