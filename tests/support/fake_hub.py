"""The hub as its client library shows it, over a folder of this machine: no network."""

from __future__ import annotations

import fnmatch
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest


class FakeHub:
    """One repository. `fetched`: the files that were downloaded, in order."""

    def __init__(self, source: Path, local: Path) -> None:
        self.source, self.local = source, local
        self.fetched: list[str] = []
        self.offline: Exception | None = None

    def put(self, *names: str) -> None:
        """Empty files."""
        for name in names:
            (self.source / name).parent.mkdir(parents=True, exist_ok=True)
            (self.source / name).touch()

    def list_repo_files(self, repo: str) -> list[str]:
        """The names of all files."""
        if self.offline:
            raise self.offline
        return [str(file.relative_to(self.source)) for file in self.source.rglob("*") if file.is_file()]

    def snapshot_download(self, repo: str, allow_patterns: list[str], local_files_only: bool = False) -> str:
        """The local folder, with what the patterns name."""
        if local_files_only:
            if not self.local.is_dir():
                raise FileNotFoundError("nothing here")
            return str(self.local)
        for name in self.list_repo_files(repo):
            wanted = any(fnmatch.fnmatch(name, pattern) for pattern in allow_patterns)
            if wanted and not (self.local / name).exists():
                (self.local / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self.source / name, self.local / name)
                self.fetched.append(name)
        return str(self.local)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
        """In place of the client library's functions."""
        for name in ("list_repo_files", "snapshot_download"):
            method: Any = getattr(self, name)
            monkeypatch.setattr(huggingface_hub, name, method)
        return self
