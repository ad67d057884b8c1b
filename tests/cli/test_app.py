"""Where the output goes is closed or full: a line and an exit code, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


def version(redirection: str) -> tuple[int, str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = ["sh", "-c", f'"$0" -m mezzotint --version {redirection}', sys.executable]
    done = subprocess.run(command, env=env, stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stderr


def test_a_closed_output_is_no_crash() -> None:
    assert version(">&-") == (0, "")


def test_a_full_output_is_a_line() -> None:
    assert version(">/dev/full") == (2, "error: cannot write the output: No space left on device\n")
