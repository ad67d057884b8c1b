"""How a config is checked against a table of its keys: each is used, without effect here, or refused by name.

A key that is unknown and says something may change the arithmetic, so it is refused. One that is null, false or
empty asks for nothing: libraries write their new settings so, and files of tomorrow open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mezzotint.errors import ModelError, nearest

Config = Mapping[str, Any]


@dataclass(frozen=True)
class KeyTable:
    """The keys of one kind of config. Those that begin with an underscore are notes of the libraries."""

    family: str
    used: frozenset[str]
    only: Mapping[str, tuple[Any, ...]]  # values that leave the arithmetic as it is here; another is refused
    without_effect: Mapping[str, str]  # and why
    reasons: Mapping[str, str] = field(default_factory=dict)  # of refusals, where the key does not say it

    @property
    def keys(self) -> frozenset[str]:
        """All that are known."""
        return self.used | self.only.keys() | self.without_effect.keys()

    def check(self, config: Config, where: str) -> None:
        """ModelError for a key or a value that Mezzotint does not know, by its name. `where`: the file."""
        for key, allowed in self.only.items():
            if key in config and config[key] not in allowed:
                why = f" ({self.reasons[key]})" if key in self.reasons else ""
                raise ModelError(
                    f"{where}: {key} is {config[key]!r}{why}; Mezzotint serves the {self.family} family only"
                )
        if unknown := unknown_keys(config, self.keys):
            raise ModelError(
                f"{where}: unknown key {unknown[0]!r}{nearest(unknown[0], sorted(self.keys))}; "
                "delete it there if it is a note"
            )


def unknown_keys(config: Config, known: frozenset[str]) -> list[str]:
    """The keys that are not known, are no notes, and say something."""
    return [
        key for key in config if key not in known and not key.startswith("_") and not _is_off(config[key])
    ]


def _is_off(value: Any) -> bool:
    """Null, false, empty, or a component that a pipeline does without, [null, null]."""
    if isinstance(value, list | tuple):
        return all(item is None for item in value)
    return value is None or value is False or value in ("", {})
