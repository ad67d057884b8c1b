"""A config is followed key by key, or refused by the name of the key."""

from __future__ import annotations

from typing import Any

import pytest

from mezzotint.config_keys import KeyTable
from mezzotint.errors import ModelError

TABLE = KeyTable(
    family="toy",
    used=frozenset({"width"}),
    only={"act": ("silu", None), "classes": (None,)},
    without_effect={"dropout": "of training"},
    reasons={"classes": "a model of classes"},
)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"width": 3, "act": "silu", "dropout": 0.1},
        {"_a_note": 1},
        {"of_tomorrow": None, "more": False, "part": [None, None], "list": [], "text": ""},
    ],
)
def test_known_and_empty_keys_pass(config: dict[str, Any]) -> None:
    TABLE.check(config, "config.json")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"widht": 3},
            "config.json: unknown key 'widht'; did you mean 'width'?; delete it there if it is a note",
        ),
        ({"act": "gelu"}, "config.json: act is 'gelu'; Mezzotint serves the toy family only"),
        (
            {"classes": 10},
            "config.json: classes is 10 (a model of classes); Mezzotint serves the toy family only",
        ),
        ({"zero": 0}, "config.json: unknown key 'zero'; delete it there if it is a note"),
    ],
)
def test_unknown_keys_and_values_are_refused_by_name(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as error:
        TABLE.check(config, "config.json")
    assert str(error.value) == message
