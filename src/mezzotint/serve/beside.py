"""What a job keeps beside its pictures: how each came out of noise, and where the network looked for each word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mezzotint.files import write_durably
from mezzotint.picture import Picture

Frames = list[NDArray[np.uint8]]  # (H, W, 3) each


class Beside:
    """Files under `<store>/beside/<job>`. The ids of jobs are made by the server, so they are names of folders."""

    def __init__(self, store: Path) -> None:
        self._root = store / "beside"

    def path(self, job: str, number: int, what: str) -> Path:
        """Of the `trace` or the `attention` of a picture."""
        return self._root / job / f"{number}.{what}.safetensors"

    def write(self, job: str, number: int, picture: Picture, frames: Frames) -> None:
        """Keep the trace, as latents and as rough pictures, and the attention, as heat of each word."""
        if picture.trace:
            arrays: dict[str, NDArray[Any]] = {
                "x0": np.stack([snapshot.x0 for snapshot in picture.trace]),
                "evaluations": np.array([snapshot.evaluations for snapshot in picture.trace]),
            }
            if frames:
                arrays["frames"] = np.stack(frames)
            self._write(self.path(job, number, "trace"), arrays, {})
        if picture.attention:
            words = list(picture.attention.words)
            heat = [np.asarray(255 * picture.attention.heat(word), np.uint8) for word in words]
            shares = [picture.attention.share(word) for word in words]
            about = {"words": json.dumps(words), "shares": json.dumps(shares)}
            self._write(self.path(job, number, "attention"), {"heat": np.stack(heat)} if heat else {}, about)

    def read(self, job: str, number: int, what: str, name: str) -> NDArray[Any] | None:
        """An array of a file; None where there is none."""
        try:
            with safe_open(self.path(job, number, what), "numpy") as file:
                return np.asarray(file.get_tensor(name)) if name in file.keys() else None  # noqa: SIM118
        except (OSError, SafetensorError):
            return None

    def about(self, job: str, number: int, what: str) -> dict[str, Any] | None:
        """What a file says of its arrays; None where there is none."""
        try:
            with safe_open(self.path(job, number, what), "numpy") as file:
                return {name: json.loads(text) for name, text in (file.metadata() or {}).items()}
        except (OSError, SafetensorError):
            return None

    @staticmethod
    def _write(path: Path, arrays: dict[str, NDArray[Any]], about: dict[str, str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, save(arrays, about))
