"""Defaults of a model come from its own folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mezzotint
from mezzotint import ModelError, Request
from mezzotint.models.disk.source import defaults_of, read_defaults
from mezzotint.study.cells import cells
from mezzotint.study.spec import Study
from support.toy import Toy


def written(folder: Path, content: object) -> Path:
    (folder / "mezzotint.json").write_text(json.dumps(content))
    return folder


def test_defaults_are_fields_of_a_request_in_canonical_form(tmp_path: Path) -> None:
    folder = written(tmp_path, {"defaults": {"guidance": "cfg( 3.0 )", "steps": 12}})
    assert defaults_of(str(folder)) == {"guidance": "cfg(3)", "steps": 12}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"default": {}}, "did you mean 'defaults'?"),
        ({"defaults": {"step": 12}}, "did you mean 'steps'?"),
        ({"defaults": {"seed": 1}}, "it may say guidance, sampler, steps"),
        ({"defaults": {"steps": 0}}, "steps must be a whole number from 1 to 2000"),
        ({"defaults": []}, "defaults is an object of"),
    ],
)
def test_defaults_of_another_form_are_refused(content: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"mezzotint\.json") as caught:
        read_defaults(written(tmp_path, content))
    assert message in str(caught.value)


def test_defaults_are_none_where_a_folder_says_nothing(tmp_path: Path) -> None:
    assert defaults_of(str(tmp_path)) == defaults_of("owner/name") == {}


def test_generate_takes_the_defaults_of_a_model_for_a_prompt_alone() -> None:
    toy = Toy()
    toy.defaults = {"guidance": "cfg(3)", "steps": 2}  # type: ignore[attr-defined]  # of models that are opened
    prompt, request = mezzotint.generate(["a cat", Request("a cat", steps=3)], toy)
    assert (prompt.request.guidance, prompt.request.steps) == ("cfg(3)", 2)
    assert (request.request.guidance, request.request.steps) == ("cfg(7.5)", 3)


def test_a_study_takes_the_defaults_of_each_model(tmp_path: Path) -> None:
    folder = written(tmp_path, {"defaults": {"guidance": "cfg(3)", "steps": 12}})
    study = Study(base={"prompt": "a cat", "steps": 5}, axes={"model": (str(folder), "faces")}, seeds=1)
    assert [(cell.request.guidance, cell.request.steps) for cell in cells(study)] == [
        ("cfg(3)", 5),
        ("cfg(7.5)", 5),
    ]
