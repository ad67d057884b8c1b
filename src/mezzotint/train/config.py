"""What a training run is told: YAML files, checked, unknown keys refused with the nearest known name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mezzotint.errors import ConfigError, nearest


class Config(BaseModel):
    """A frozen part of a configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The configuration in a YAML file; raises ConfigError with every mistake in one line."""
        try:
            found = yaml.safe_load(path.read_text()) or {}
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(f"cannot read {path}: {error}") from error
        if not isinstance(found, dict):
            raise ConfigError(f"{path} should hold a table of settings")
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            raise ConfigError(f"{path}: " + "; ".join(_said(cls, e) for e in error.errors())) from error


def _said(cls: type[BaseModel], error: Any) -> str:
    where = [str(part) for part in error["loc"]]
    if error["type"] != "extra_forbidden":
        return f"{'.'.join(where)}: {error['msg']}"
    fields = cls.model_fields
    for part in where[:-1]:
        annotation = fields[part].annotation
        fields = (
            annotation.model_fields
            if isinstance(annotation, type) and issubclass(annotation, BaseModel)
            else {}
        )
    return f"unknown setting {'.'.join(where)!r}{nearest(where[-1], fields)}"


class LoopConfig(Config):
    """How long, how fast, and how often to look."""

    steps: int = Field(gt=0)
    minutes: float = 0.0
    """Stop this run (not the training) after so many minutes; 0: at the last step."""
    lr: float = Field(1e-3, gt=0)
    muon_lr: float = Field(0.02, ge=0)
    weight_decay: float = 0.0
    warmup: int = 100
    cooldown: int = 0
    """The last so many steps go linearly to a twentieth of the rate."""
    ema: float = Field(0.999, ge=0, lt=1)
    clip: float = 1.0
    bf16: bool = True
    log_every: int = 20
    save_minutes: float = 4.0
    sheet_minutes: float = 5.0

    def rate(self, step: int) -> float:
        """The factor on every learning rate at this step."""
        rising = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        left = (self.steps - step) / self.cooldown if self.cooldown else 1.0
        return rising * max(0.05, min(1.0, left))
