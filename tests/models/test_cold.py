"""A warm cache opens a model with none of the heavy libraries, no network, and nothing written at home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = """
import socket, sys
def refuse(*args, **kw): raise AssertionError("a network was asked for")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
import numpy as np
import mezzotint
from mezzotint.models import open_model
heavy = ["torch", "diffusers", "transformers", "huggingface_hub", "openvino_telemetry", "openvino.tools.ovc"]
heavy += ["scipy", "openvino", "tokenizers"]
assert not [name for name in heavy if name in sys.modules], "imported before a model is opened"
model = open_model(sys.argv[1], runtime="openvino", dtype="float32")
model.prepare(2)
states = model.encode_text("a cat")
x = np.zeros((1, 4, 8, 8), np.float32)
model.decode(model.denoise(x, np.zeros(1, np.float32), states[None], rows=2))
found = [name for name in heavy[:-2] if name in sys.modules]
assert not found, found
"""


def test_cold(smallest: Any, tmp_path: Path) -> None:
    """The first time too: graphs are built from the weights, without torch."""
    env = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    env["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(smallest.folder)], env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert os.listdir(tmp_path) == ["cache"]
    assert os.listdir(tmp_path / "cache") == ["mezzotint"]
