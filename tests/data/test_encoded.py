"""Latents and text states by content: made once, whatever is killed, damaged, full or at work at the same time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mezzotint.data import array_cache
from mezzotint.data.array_cache import ArrayCache
from mezzotint.data.encoded import LatentFolder, TextStates
from mezzotint.data.pictures.folder import PictureFolder
from mezzotint.errors import DataError
from support.picture_files import cut_off, fill, noise

SHAPE = (3, 2, 2)


class Encoder:
    """Means of quarters; it counts its calls."""

    calls = 0

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        self.calls += 1
        assert pixels.shape == (1, 3, 16, 16)
        made: NDArray[np.float32] = pixels.reshape(3, 2, 8, 2, 8).mean((2, 4))
        return made


def pictures(folder: Path, count: int = 6) -> PictureFolder:
    folder.mkdir(exist_ok=True)
    for index in range(count):
        noise(20, 16, seed=index).save(folder / f"{index}.png")
    return PictureFolder.open(folder, 16, ahead=0)


def key(number: int) -> bytes:
    return number.to_bytes(8, "little") + bytes(8)


def value(number: int) -> Callable[[], NDArray[np.float32]]:
    return lambda: np.full(SHAPE, number, np.float32)


def test_latents_are_those_of_the_batch_and_made_once(tmp_path: Path) -> None:
    folder, encoder = pictures(tmp_path / "set"), Encoder()
    latents = LatentFolder(folder, "vae", SHAPE, encoder, tmp_path / "cache")
    for step in range(12):
        made, plain = latents.batch(5, step, 4), folder.batch(5, step, 4)
        assert made.indices == plain.indices
        expected = plain.pixels.reshape(4, 3, 2, 8, 2, 8).mean((3, 5))
        assert np.abs(made.latents - expected).max() < 1e-3  # half precision
    assert encoder.calls == 12  # each picture and its mirror image
    again, anew = Encoder(), LatentFolder(folder, "vae", SHAPE, encoder, tmp_path / "cache").batch(5, 3, 4)
    assert encoder.calls == 12 and np.array_equal(anew.latents, latents.batch(5, 3, 4).latents)
    LatentFolder(folder, "another", SHAPE, again, tmp_path / "cache").batch(5, 3, 4)
    assert again.calls == 4


def test_the_first_time_equals_all_others_to_the_bit(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "set")
    first = [
        LatentFolder(folder, "v", SHAPE, Encoder(), tmp_path / "a").batch(0, s, 3).latents for s in range(4)
    ]
    warm = LatentFolder(folder, "v", SHAPE, Encoder(), tmp_path / "a")
    assert all(np.array_equal(warm.batch(0, s, 3).latents, first[s]) for s in (3, 1, 0, 2))


def test_content_counts_not_the_name(tmp_path: Path) -> None:
    encoder = Encoder()
    LatentFolder(pictures(tmp_path / "set"), "vae", SHAPE, encoder, tmp_path / "cache").batch(
        0, 0, 6, hflip=False
    )
    shutil.move(tmp_path / "set", tmp_path / "moved")
    noise(20, 16, seed=99).save(tmp_path / "moved/3.png")
    moved = PictureFolder.open(tmp_path / "moved", 16, ahead=0)
    LatentFolder(moved, "vae", SHAPE, encoder, tmp_path / "cache").batch(0, 0, 6, hflip=False)
    assert encoder.calls == 7


def test_a_picture_that_cannot_be_decoded_is_replaced(tmp_path: Path) -> None:
    pictures(tmp_path / "set", 3)
    cut_off(tmp_path / "set/cut.jpg")
    folder = PictureFolder.open(tmp_path / "set", 16, ahead=0)
    cold = LatentFolder(folder, "vae", SHAPE, Encoder(), tmp_path / "cache").batch(0, 0, 8)
    warm = LatentFolder(folder, "vae", SHAPE, Encoder(), tmp_path / "cache").batch(0, 0, 8)
    assert cold.indices == warm.indices == folder.batch(0, 0, 8).indices
    assert list(folder.failed) == ["cut.jpg"]


def test_portraits_have_no_latents(tmp_path: Path) -> None:
    folder = PictureFolder.open(fill(tmp_path, 1), 16, background="portrait")
    with pytest.raises(DataError, match="name a background color"):
        LatentFolder(folder, "vae", SHAPE, Encoder(), tmp_path)


def test_text_states_are_made_once_a_text(tmp_path: Path) -> None:
    asked: list[str] = []

    def encode(text: str) -> NDArray[np.float32]:
        asked.append(text)
        return np.full((3, 4), len(text), np.float32)

    states = TextStates("text tower", (3, 4), encode, tmp_path)
    made = states.states(["a cat", "", "a cat"])
    assert made.shape == (3, 3, 4) and made[:, 0, 0].tolist() == [5, 0, 5]
    TextStates("text tower", (3, 4), encode, tmp_path).states(["", "caf\udce9"])
    assert asked == ["a cat", "", "caf\udce9"]


@pytest.mark.parametrize("where", ["data", "keys"])
@pytest.mark.parametrize("lost", range(1, 70, 7))
def test_a_file_that_ends_early_loses_its_end_only(tmp_path: Path, where: str, lost: int) -> None:
    store = ArrayCache(tmp_path, SHAPE)
    for number in range(5):
        store.get(key(number), value(number))
    store.close()
    (file,) = tmp_path.glob(f"*.{where}")
    os.truncate(file, file.stat().st_size - lost)
    again = ArrayCache(tmp_path, SHAPE)
    assert [int(again.get(key(n), value(n))[0, 0, 0]) for n in range(5)] == [0, 1, 2, 3, 4]
    assert again.made == -(-lost // {"data": 20 + 24, "keys": 16}[where])
    assert ArrayCache(tmp_path, SHAPE).get(key(4), value(77)).max() == 4


def test_any_flipped_bit_is_noticed_and_the_entry_made_again(tmp_path: Path) -> None:
    store = ArrayCache(tmp_path, SHAPE)
    for number in range(3):
        store.get(key(number), value(number))
    (file,) = tmp_path.glob("*.data")
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        found = store._read(key(place // 44))
        assert found is None
    damaged = ArrayCache(tmp_path, SHAPE)
    assert damaged.get(key(2), value(2)).max() == 2 and damaged.made == 1
    damaged.close()
    once_more = ArrayCache(tmp_path, SHAPE)
    assert once_more.get(key(2), value(77)).max() == 2 and once_more.made == 0


def test_a_full_disk_makes_it_slower_and_never_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    store = ArrayCache(tmp_path, SHAPE)
    store.get(key(0), value(0))
    monkeypatch.setattr(array_cache, "_write", full)
    assert [store.get(key(n), value(n)).max() for n in (0, 1, 1)] == [0, 1, 1]
    assert store.made == 3
    monkeypatch.setattr(os, "mkdir", full)
    assert ArrayCache(tmp_path / "x", SHAPE).get(key(1), value(1)).max() == 1


def test_many_entries_are_found_again(tmp_path: Path) -> None:
    """More than the index keeps aside, with keys in any order."""
    keys = [os.urandom(16) for _ in range(9000)]
    store = ArrayCache(tmp_path, (1,), "float32")
    for number, one in enumerate(keys):
        store.get(one, lambda number=number: np.array([number], np.float32))
    for known in (store, ArrayCache(tmp_path, (1,), "float32")):
        assert all(known._read(one) == [number] for number, one in enumerate(keys))


WRITER = """
import sys, numpy as np
from pathlib import Path
from mezzotint.data.array_cache import ArrayCache
store = ArrayCache(Path(sys.argv[1]), (3, 2, 2))
for number in range(1_000_000):
    store.get(number.to_bytes(8, "little") + bytes(8), lambda: np.full((3, 2, 2), number % 1000))
    if number == 500:
        print("well under way", flush=True)
"""


def test_several_processes_killed_at_work_leave_what_is_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline()
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
    store = ArrayCache(tmp_path, SHAPE)
    found = [store._read(key(number)) for number in range(500)]
    assert all(one is not None and (one == number).all() for number, one in enumerate(found))
