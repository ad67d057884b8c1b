"""A search space is checked before any work, and its settings can be written down."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from mezzotint.errors import ConfigError
from mezzotint.study.cells import cells
from mezzotint.study.spec import Study
from mezzotint.study.tune.command import command
from mezzotint.study.tune.goal import parse_goal
from mezzotint.study.tune.space import Space, base_of, with_points


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({}, "the study has no search"),
        ({"steps": []}, "search steps is empty"),
        ({"steps": [10, 10]}, "a value twice"),
        ({"steps": {"low": 20, "high": 10}}, "empty from 20 to 10; low must be below high"),
        ({"steps": {"low": 10, "high": 10}}, "put it into the base"),
        ({"steps": {"low": 1.5, "high": 10}}, "low is a whole number, got 1.5"),
        ({"steps": {"low": 1}}, "has no high"),
        ({"steps": {"low": 1, "hihg": 10}}, "did you mean 'high'?"),
        ({"steps": {"low": "1", "high": 10}}, "low is a number"),
        ({"steps": 20}, "give values"),
        ({"sampler": {"low": 1, "high": 2}}, "list its values"),
        ({"eta": {"low": 0, "high": 1, "log": True}}, "above 0"),
        ({"eta": {"low": 0, "high": 1, "step": 2}}, "at most 1"),
        ({"eta": {"low": 0, "high": float("nan")}}, "high is a number"),
        ({"guidance.cfg.scal": {"low": 1, "high": 2}}, "did you mean 'scale'?"),
        ({"guidance.cgf.scale": {"low": 1, "high": 2}}, "did you mean 'cfg'?"),
        ({"prompt": ["a"]}, "also an axis of the study"),
        ({"steps": [], "eta": 1}, "is empty; give it values, or leave it out; search eta"),
    ],
)
def test_what_is_wrong_is_told(search: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=r"^[^\n]*$") as error:
        Space.of(Study(search=search, axes={"prompt": ("a", "b")}))
    assert said in str(error.value)


def test_values_have_the_type_of_their_field_and_can_be_written_down() -> None:
    space = Space.of(
        Study(
            search={
                "steps": {"low": 5, "high": 50},
                "guidance.cfg.scale": {"low": 1, "high": 12},
                "eta": {"low": 0.001, "high": 1, "log": True},
                "x": {"low": 0, "high": 1, "step": 0.1},
                "sampler": ["ddim"],
            }
        )
    )
    point = space.to_point(
        {"steps": 7.0, "guidance.cfg.scale": 4.16234, "eta": 0.0123456, "x": 0.1 + 0.2, "sampler": "ddim"}
    )
    assert point == {"steps": 7, "guidance.cfg.scale": 4.2, "eta": 0.0123, "x": 0.3, "sampler": "ddim"}
    assert isinstance(point["steps"], int)
    assert space.size is None
    assert space.holds({**point, "x": 0.3})
    assert not space.holds({**point, "steps": 51})
    assert not space.holds({**point, "guidance.cfg.scale": 4.16})


def test_the_base_is_what_the_study_has_already() -> None:
    study = Study(
        base={"guidance": "cfg(3) + clip('a cat', effect={x})".replace("'", '"')},
        search={"guidance.cfg.scale": [1, 2], "x": [0.1]},
    )
    assert base_of(study, Space.of(study)) is None  # no word in braces has a value of its own
    plain = Study(base={"guidance": "cfg(3)"}, search={"guidance.cfg.scale": [1, 2], "steps": [10, 20]})
    assert base_of(plain, Space.of(plain)) == {"guidance.cfg.scale": 3.0, "steps": 25}


def test_the_command_draws_the_very_request() -> None:
    study = Study(
        base={"sampler": "ddim", "eta": 0.5, "width": 64, "height": 64, "negative_prompt": "a dog"},
        axes={"prompt": ("a cat's hat", "b")},
        search={"guidance.cfg.scale": [4]},
    )
    made = command(cells(with_points(study, [{"guidance.cfg.scale": 4}])), "exact", 7, "out")
    assert made == (
        "mezzotint generate 'a cat'\"'\"'s hat' b --negative 'a dog' --size 64x64 --sampler ddim --eta 0.5 "
        "--guidance 'cfg(4)' --seed 7 --mode exact -n 4"
    )
    assert shlex.split(made)[2] == "a cat's hat"
    zipped = study.model_copy(update={"axes": {"eta": (0.1, 0.2)}})
    assert "--prompts-file out/best.jsonl" in command(
        cells(with_points(zipped, [{"guidance.cfg.scale": 4}])), "fast", 0, "out"
    )


@pytest.mark.parametrize(
    ("metric", "keep", "said"),
    [
        ("clip_scor", [], "did you mean 'clip_score'?"),
        ("fid", [], "a number of a set"),
        ("sharpness", [], "--maximize or --minimize"),
        ("clip_score", ["distance_unguided<0.2"], "METRIC<=NUMBER"),
        ("clip_score", ["distance_ungided<=0.2"], "did you mean 'distance_unguided'?"),
        ("clip_score", ["clipped<=nan"], "METRIC<=NUMBER"),
    ],
)
def test_a_goal_that_cannot_be_is_refused(metric: str, keep: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_goal(metric, None, keep)
    assert said in str(error.value)
