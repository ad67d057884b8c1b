"""New words from the command line to the recipe and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mezzotint import Picture
from mezzotint.cli import main
from mezzotint.engine import Engine
from mezzotint.errors import ModelError
from mezzotint.request import Request
from support import tiny
from support.toy import Toy


def test_generate_and_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Requests with different words share calls; recipes replay without the files, and say what is missing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    tiny.make_pipeline(tmp_path / "model")
    for seed, name in enumerate(("a", "b")):
        row = np.random.default_rng(seed).normal(size=(1, 32)).astype(np.float32)
        save_file({"<x>": row}, f"{name}.safetensors")
    lines = [
        {"prompt": "a <x>", "words": ["b.safetensors"]},
        {"prompt": "a <x>", "words": ""},
        {"prompt": "a <y>", "words": ["<y>=a.safetensors"]},
    ]
    Path("asked.jsonl").write_text("\n".join(map(json.dumps, lines)))
    how = ["generate", "--model", "model", "--dtype", "float32", "--steps", "2", "--word", "a.safetensors"]
    capsys.readouterr()
    assert main([*how, "a <x>", "--prompts-file", "asked.jsonl", "--mode", "exact"]) == 0
    paths = capsys.readouterr().out.split()
    pictures = [Picture.open(path) for path in paths]
    assert len({picture.request.digest for picture in pictures}) == 4
    assert len({picture.digest for picture in pictures}) == 3, "<y> and <x> of one file are one word"
    for kept in tmp_path.glob("*.safetensors"):
        kept.unlink()
    for path in paths:
        assert main(["replay", path, "--model", "model"]) == 0
    for kept in (tmp_path / "cache/mezzotint/words").iterdir():
        kept.unlink()
    worded = next(path for path in paths if Picture.open(path).request.words)
    assert main(["replay", worded, "--model", "model"]) == 2
    assert "give its file again with --word FILE" in capsys.readouterr().err


def test_mistakes_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "a cat", "--word", "missing.safetensors"]) == 2
    assert "cannot read missing.safetensors: No such file" in capsys.readouterr().err
    with Engine(Toy()) as engine, pytest.raises(ModelError, match="takes no new words; leave words out"):
        engine.submit(Request("a <x>", words=f"<x>={'a' * 64}"))
