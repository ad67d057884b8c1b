"""What a saved model should not tell."""

from __future__ import annotations

import json
from pathlib import Path


def forget_paths(folder: Path) -> None:
    """Remove from the configs of a diffusers folder the place that its parts were loaded from."""
    for path in folder.rglob("*.json"):
        config = json.loads(path.read_text())
        if isinstance(config, dict) and config.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(config, indent=2) + "\n")
