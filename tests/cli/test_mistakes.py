"""Every mistake of the table ends in one line that says what to do, with exit status 2 and nothing written."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.mistakes import MISTAKES, Mistake

if TYPE_CHECKING:
    from conftest import Cli


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, and no npm."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")


def tree(folder: Path) -> dict[str, bytes]:
    """All that lies in a folder; of a file its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{n}: {m.command}" for n, m in enumerate(MISTAKES)])
def test_a_mistake_is_one_line(cli: Cli, mistake: Mistake) -> None:
    here = Path()
    for name, content in mistake.files.items():
        path = here / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    before = tree(here)
    said = cli(*shlex.split(mistake.command))
    assert said.code == 2, said
    assert mistake.said in said.err
    assert tree(here) == before
