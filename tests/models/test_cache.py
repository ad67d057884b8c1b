"""The cache is an advantage and never a danger: damage is repaired, writers may race, no writer is needed."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mezzotint import files
from mezzotint.models import Model, network_cache, open_model
from mezzotint.models.disk.weights import Weights

Floats = np.ndarray


def _open(folder: Path, cache: Path) -> Model:
    return open_model(folder, runtime="openvino", dtype="float32", cache=cache)


def _ask(model: Model) -> list[Floats]:
    x = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype(np.float32)
    states = model.encode_text("a cat")
    return [states, model.denoise(x, np.array([10], np.float32), states[None]), model.decode(x)]


def _same(a: list[Floats], b: list[Floats]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture(scope="module")
def full(smallest: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Floats]]:
    """A cache with everything in it, and what the model answered."""
    cache = tmp_path_factory.mktemp("full")
    return cache, _ask(_open(smallest.folder, cache))


@pytest.fixture
def cache(full: tuple[Path, list[Floats]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(full[0], tmp_path / "cache"))


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [_flip, _cut, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("name", ["unet.bin", "unet.xml", "*.blob", "manifest.json"])
def test_damage_is_repaired(
    full: tuple[Path, list[Floats]],
    smallest: Any,
    cache: Path,
    name: str,
    damage: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for path in cache.rglob(name):
        damage(path)
    assert _same(_ask(_open(smallest.folder, cache)), full[1])
    assert not list(cache.rglob(".part-*"))
    monkeypatch.setattr(Weights, "take", lambda *args: pytest.fail("built again"))
    assert _same(_ask(_open(smallest.folder, cache)), full[1])


def test_notes_that_are_damaged(full: tuple[Path, list[Floats]], smallest: Any, cache: Path) -> None:
    for k, note in enumerate(sorted(cache.glob("digests/*.json"))):
        note.write_text(["", "[]", '{"stamp": 3, "sha256": 4}', "\x00"][k % 4])
    assert _same(_ask(_open(smallest.folder, cache)), full[1])


def _in_process(folder: Path, cache: Path, results: Any) -> None:
    results.put([array.tobytes() for array in _ask(_open(folder, cache))])


def test_two_processes_at_once(full: tuple[Path, list[Floats]], smallest: Any, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: Any = context.Queue()
    workers = [
        context.Process(target=_in_process, args=(smallest.folder, tmp_path, results)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    answers = [results.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert all(answer == [array.tobytes() for array in full[1]] for answer in answers)
    assert not list(tmp_path.rglob(".part-*"))


@pytest.mark.skipif(os.name == "nt", reason="permissions are POSIX's")
def test_a_cache_that_cannot_be_written(
    full: tuple[Path, list[Floats]], smallest: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert _same(_ask(_open(smallest.folder, tmp_path / "file" / "cache")), full[1])


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_without_permission(full: tuple[Path, list[Floats]], smallest: Any, tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert _same(_ask(_open(smallest.folder, tmp_path / "cache")), full[1])


def test_other_weights_are_another_model(smallest: Any, second: Any, cache: Path) -> None:
    one, two = _open(smallest.folder, cache), _open(second.folder, cache)
    assert one.digest != two.digest


def test_weights_changed_in_place_are_noticed(smallest: Any, cache: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = Path(shutil.copytree(smallest.folder, tmp_path / "model"))
    before = _open(folder, cache)
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    times = path.stat()
    weights = load_file(path)
    weights["conv_out.bias"] = weights["conv_out.bias"] + 1
    save_file(weights, path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # same size, same time
    after = _open(folder, cache)
    assert before.digest != after.digest
    assert np.allclose(_ask(after)[1], _ask(before)[1] + 1, atol=1e-5)


def test_digest_is_remembered_and_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    path = tmp_path / "file"
    path.write_bytes(b"weights")
    digest = files.remembered_digest(path, tmp_path / "cache")
    assert digest == hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setattr(files, "file_digest", lambda path: pytest.fail("read again"))
    assert files.remembered_digest(path, tmp_path / "cache") == digest


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    files.write_atomic(path, b"old")

    def fail(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def _ask_wider(model: Model) -> Floats:
    """A shape that no other test has compiled."""
    x = np.random.default_rng(1).standard_normal((1, 4, 8, 12)).astype(np.float32)
    return model.denoise(x, np.array([10], np.float32), model.encode_text("a cat")[None])


@pytest.mark.parametrize("writable", [True, False])
def test_emptied_while_a_model_is_open(
    smallest: Any, cache: Path, full: Any, tmp_path: Path, writable: bool
) -> None:
    model = _open(smallest.folder, cache)
    assert _same(_ask(model), full[1])
    shutil.rmtree(cache)
    if not writable:
        cache.write_text("not a folder")
    assert np.array_equal(_ask_wider(model), _ask_wider(_open(smallest.folder, tmp_path / "other")))
    assert cache.is_file() or list(cache.rglob("unet.xml"))


def test_other_times_are_learned(smallest: Any, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that was copied without its times is read once, not at each start."""
    for path in cache.glob("networks/*/*.*"):
        os.utime(path, (1, 1))
    _open(smallest.folder, cache)
    for module in (files, network_cache):
        monkeypatch.setattr(module, "file_digest", lambda path: pytest.fail(f"{path} was read again"))
    _open(smallest.folder, cache)


@pytest.mark.skipif(os.name == "nt", reason="permissions are POSIX's")
def test_others_may_read_what_the_umask_lets_them(full: tuple[Path, list[Floats]]) -> None:
    umask = os.umask(0)
    os.umask(umask)
    for path in (full[0] / "networks").rglob("*"):
        wanted = (0o777 if path.is_dir() else 0o666) & ~umask
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, smallest: Any, full: Any) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "~nosuchuser/x")
    model = open_model(smallest.folder, runtime="openvino", dtype="float32")
    assert _same(_ask(model), full[1])


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux alone tells the usable cores")
def test_a_thread_for_each_usable_core(smallest: Any, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compiled for one number of threads is not taken for another."""
    blobs = len(list(cache.rglob("*.blob")))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    model = _open(smallest.folder, cache)
    asked = open_model(smallest.folder, "openvino", "float32", threads=99, cache=cache)
    assert model.threads == asked.threads == 3
    _ask(model)
    assert len(list(cache.rglob("*.blob"))) == 2 * blobs
