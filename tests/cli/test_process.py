"""Whole processes: cold start, Ctrl-C, a full disk, a terminal, a reader that leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mezzotint import Picture

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals, limits and terminals of POSIX")
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(real: Path, tmp_path: Path) -> Start:
    """Start `mezzotint generate ...` with the tiny model, in an empty folder."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}

    def started(*words: str, **more: Any) -> subprocess.Popen[str]:
        model = ["--model", str(real), "--runtime", "openvino", "--dtype", "float32"]
        command = [sys.executable, "-m", "mezzotint", "generate", *words, *model]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        return subprocess.Popen(command, env=env, cwd=tmp_path, text=True, **pipes)

    return started


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_ctrl_c_keeps_what_is_finished(start: Start, tmp_path: Path) -> None:
    def heed() -> None:  # a background job would inherit a deaf ear
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = start("a cat", "-n", "1000", preexec_fn=heed)
    assert process.stdout is not None
    first = process.stdout.readline().strip()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "error: interrupted\n"
    told = {first, *out.split()}
    assert len(told) < 1000
    assert names(tmp_path / "out") >= {Path(line).name for line in told}
    for name in names(tmp_path / "out"):
        assert Picture.open(tmp_path / "out" / name).request.prompt == "a cat"


def test_a_full_disk_leaves_no_torn_picture(start: Start, tmp_path: Path) -> None:
    import resource

    def limit() -> None:  # smaller than any picture
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    process = start("a cat", "--steps", "2", preexec_fn=limit)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert err.startswith("error: cannot write ")
    assert err.count("\n") == 1
    assert names(tmp_path / "out") == set()


def test_a_terminal_has_a_bar(start: Start, tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    process = start("a cat", "a dog", "--steps", "3", stderr=theirs, stdout=theirs)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0
    text = shown.decode()
    assert "2/2 pictures" in text
    assert "6/6 evaluations" in text
    for name in names(tmp_path / "out"):
        assert f"{name}\r\n" in text


def test_a_reader_that_leaves_is_no_crash(start: Start, tmp_path: Path) -> None:
    with start("a cat", "-n", "200", "--steps", "2") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 1


COLD = """
import sys
from mezzotint.cli import main
main(["--version"])
assert "numpy" not in sys.modules
main(["generate", "a cat", "--steps", "0"])
assert not {"rich", "openvino", "PIL"} & set(sys.modules)
assert main(["generate", "a cat", "--steps", "2", "--dtype", "float32", "--model", sys.argv[1]]) == 0
found = {"torch", "diffusers", "transformers", "huggingface_hub", "yaml", "rich"} & set(sys.modules)
assert not found, found
"""


def test_nothing_heavy_is_imported(real: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", COLD, str(real)], env=env, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
