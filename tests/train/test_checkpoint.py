"""Checkpoints: whole or not there, the last few kept, a full disk survived, the former layout read."""

from __future__ import annotations

import errno
import json
import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mezzotint.errors import ConfigError, OutputError
from mezzotint.train.loop import checkpoint
from mezzotint.train.loop.checkpoint import Checkpoints
from support.tiny_task import run


def steps(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in (folder / "checkpoints").iterdir())


def tensors(folder: Path, step: int) -> dict[str, torch.Tensor]:
    found = load_file(folder / f"checkpoints/{step:07d}/state.safetensors")
    return {name: value.clone() for name, value in found.items()}  # the file may be changed


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_last_few_are_kept(tmp_path: Path) -> None:
    run(tmp_path / "two", steps=5, save_minutes=0)
    run(tmp_path / "four", steps=5, save_minutes=0, keep=4)
    assert (steps(tmp_path / "two"), steps(tmp_path / "four")) == ([4, 5], [2, 3, 4, 5])
    run(tmp_path / "four", steps=6, keep=1)
    assert steps(tmp_path / "four") == [6]


def test_what_is_half_written_is_removed_and_never_read(tmp_path: Path) -> None:
    run(tmp_path, steps=2)
    whole = tensors(tmp_path, 2)
    for place in ("checkpoints/0000003.part", "checkpoint.part"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "state.json").write_text('{"step": 3')
    run(tmp_path, steps=2)
    assert steps(tmp_path) == [2]
    assert not (tmp_path / "checkpoint.part").exists()
    assert same(tensors(tmp_path, 2), whole)


@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_a_damaged_one_is_put_aside_and_the_one_before_read(tmp_path: Path, harm: str) -> None:
    run(tmp_path, steps=4, save_minutes=0)
    whole, file = tensors(tmp_path, 4), tmp_path / "checkpoints/0000004/state.safetensors"
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    else:
        (file.parent / "state.json").unlink()
    with pytest.warns(UserWarning, match="damaged"):
        run(tmp_path, steps=4)
    assert same(tensors(tmp_path, 4), whole)
    assert (tmp_path / "checkpoints/0000004.damaged").is_dir()


def test_all_damaged_is_an_error(tmp_path: Path) -> None:
    run(tmp_path, steps=1)
    (tmp_path / "checkpoints/0000001/state.safetensors").write_bytes(b"")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(ConfigError, match="every checkpoint"):
        run(tmp_path, steps=2)


def full(times: int, at: int = 0) -> Any:
    """`save_file` on a disk that is full for some calls."""
    calls = iter(range(1000))

    def save(content: dict[str, torch.Tensor], path: Path) -> None:
        if at <= next(calls) < at + times:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save_file(content, path)

    return save


def test_once_full_is_a_warning_and_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "whole", steps=5)
    monkeypatch.setattr(checkpoint, "save_file", full(1, at=2))
    with pytest.warns(UserWarning, match=r"step 3 .*No space left on device; .*training goes on"):
        run(tmp_path / "full", steps=5, save_minutes=0)
    assert same(tensors(tmp_path / "full", 5), tensors(tmp_path / "whole", 5))
    assert steps(tmp_path / "full") == [4, 5]


def test_twice_full_is_an_error_and_older_ones_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "whole", steps=6)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full(2, at=2))
        with (
            pytest.warns(UserWarning, match="step 3"),
            pytest.raises(OutputError, match=r"step 4 .*No space"),
        ):
            run(tmp_path / "full", steps=6, save_minutes=0)
    assert steps(tmp_path / "full") == [1, 2]
    run(tmp_path / "full", steps=6)
    assert same(tensors(tmp_path / "full", 6), tensors(tmp_path / "whole", 6))


def test_the_last_one_has_to_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "save_file", full(1))
    with pytest.raises(OutputError, match="step 3"):
        run(tmp_path, steps=3)
    assert not (tmp_path / "model").exists()


def test_a_system_that_takes_no_more_bytes(tmp_path: Path) -> None:
    """Nothing is patched here: files may not grow over a kilobyte, so that every part of a run meets it."""
    run(tmp_path, steps=3)
    whole = tensors(tmp_path, 3)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
    try:
        with pytest.raises(OutputError, match="File too large"):
            run(tmp_path, steps=6)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert steps(tmp_path) == [3]
    assert same(tensors(tmp_path, 3), whole)


@pytest.mark.parametrize(("name", "muon_lr"), [("checkpoint", 0.02), ("checkpoint.old", 0.0)])
def test_the_former_layout_is_read(tmp_path: Path, name: str, muon_lr: float) -> None:
    run(tmp_path / "whole", steps=6, muon_lr=muon_lr)
    run(tmp_path / "parts", steps=3, muon_lr=muon_lr)
    place = tmp_path / "parts/checkpoints/0000003"
    facts = json.loads((place / "state.json").read_text())
    (place / "state.json").write_text(json.dumps({k: facts[k] for k in ("step", "ema_count", "scalars")}))
    place.rename(tmp_path / "parts" / name)
    run(tmp_path / "parts", steps=6, muon_lr=muon_lr)
    assert same(tensors(tmp_path / "parts", 6), tensors(tmp_path / "whole", 6))
    run(tmp_path / "parts", steps=7, muon_lr=muon_lr, keep=1)
    assert not (tmp_path / "parts" / name).exists()  # it was one of the last few, and is no more


def test_the_names_in_a_folder_are_flushed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files before the folder that holds them, and both before the name is whole."""
    import os

    seen: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        seen.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    Checkpoints(tmp_path, 2).write(7, lambda place: (place / "a").write_text("a") and None)
    assert seen == ["a", "0000007.part", "checkpoints"]


def test_another_optimizer_in_the_folder_is_an_error(tmp_path: Path) -> None:
    for before, after in ((0.0, 0.1), (0.1, 0.0)):
        folder = tmp_path / str(before)
        run(folder, steps=1, muon_lr=before)
        (folder / "config.yaml").unlink()
        with pytest.raises(ConfigError, match="another optimizer"):
            run(folder, steps=2, muon_lr=after)
