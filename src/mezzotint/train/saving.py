"""Saved models: to begin with, and what they should not tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def begin_with(model: Any, folder: Path) -> None:
    """Give a model of diffusers or transformers the weights of one that was saved, in float32."""
    model.load_state_dict(type(model).from_pretrained(folder).float().state_dict())


def forget_paths(folder: Path) -> None:
    """Remove from the configs of a diffusers folder the place that its parts were loaded from."""
    for path in folder.rglob("*.json"):
        config = json.loads(path.read_text())
        if isinstance(config, dict) and config.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(config, indent=2) + "\n")
