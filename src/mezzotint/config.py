"""Settings from YAML files: checked, frozen, unknown keys refused with the nearest known name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mezzotint.errors import ConfigError
from mezzotint.precision import with_precision
from mezzotint.settings import describe_errors, settings_in


class Config(BaseModel):
    """A frozen part of a configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The configuration in a YAML file; raises ConfigError with every mistake in one line."""
        return cls.from_mapping(settings_in(path), str(path))

    @classmethod
    def from_mapping(cls, found: Mapping[str, Any], where: str) -> Self:
        """From a table; raises ConfigError with every mistake in one line, which begins with `where`."""
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            raise ConfigError(describe_errors(error.errors(), cls.model_fields, where)) from error


def present_precision(found: Any) -> Any:
    """A table with `precision` in place of its former names `mixed_precision` and `bf16`; ValueError for both at once.

    For `model_validator(mode="before")`.
    """
    try:
        return with_precision(found) if isinstance(found, dict) else found
    except ConfigError as error:
        raise ValueError(str(error)) from None
