"""By what hash A1111 knows a LoRA file (its `extensions-builtin/Lora/network.py` and `modules/hashes.py`)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def a1111_hash(path: Path) -> str:
    """Of the tensors without the header, 64 hex digits; a hash in kohya's metadata goes before it."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length)
        said = json.loads(header).get("__metadata__") or {}
        return str(said.get("sshs_model_hash") or hashlib.file_digest(file, "sha256").hexdigest())
