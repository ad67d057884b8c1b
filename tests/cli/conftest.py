"""The command line in this process, with a toy for a model or with a tiny real one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mezzotint import models
from mezzotint.cli import main
from support.toy import Toy


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Cli = Callable[..., Said]


@dataclass
class Model(Toy):
    """The toy, with what else the command line asks of a model."""

    asked: list[Any] = field(default_factory=list)  # arguments of open_model
    prepared: list[Any] = field(default_factory=list)

    def prepare(self, rows: int, width: int | None = None, height: int | None = None) -> None:
        self.prepared.append((rows, width, height))


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`cli("generate", "a cat")`, in an empty folder; a caught error must be one line on stderr."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("COLUMNS", "120")

    def run(*words: object) -> Said:
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = Said(code, *capsys.readouterr())
        assert "Traceback" not in said.err
        if code == 2:
            *notes, error = said.err.splitlines()
            assert error.startswith("error: ")
            assert notes == [] or words[0] == "data"  # which tells how far it came
            assert said.out == ""
        return said

    return run


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Model:
    """What every model opens as."""
    model = Model()
    monkeypatch.setattr(
        models, "open_model", lambda *args, **more: model.asked.append((*args, *more.values())) or model
    )
    return model


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny real model, for OpenVINO."""
    from support import tiny

    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny.make_pipeline(folder)
    return folder
