"""A folder of pictures as batches: functions of (seed, step), whatever the files, the threads and the cache."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mezzotint.data.pictures.folder import Batch, PictureFolder
from mezzotint.errors import DataError
from support.picture_files import cut_off, fill, noise


def colors(batch: Batch) -> list[int]:
    """Which pictures of `fill` a batch shows, told by their color."""
    return [round((pixels[0].mean() + 1) * 127.5) for pixels in batch.pixels[:, :, 4:, 4:]]


def test_an_epoch_visits_each_picture_once_also_across_its_borders(tmp_path: Path) -> None:
    folder = PictureFolder.open(fill(tmp_path, 10), 16, ahead=0)
    walk = [index for step in range(15) for index in folder.batch(3, step, 4).indices]  # 6 epochs of 10
    epochs = [walk[start : start + 10] for start in range(0, 60, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6
    assert folder.steps_per_epoch(4) == 3
    shown = [color for step in range(15) for color in colors(folder.batch(3, step, 4))]
    assert shown == walk


def test_a_batch_is_a_function_of_seed_and_step_alone(tmp_path: Path) -> None:
    """Whatever was asked before, and with threads, caches and order of asking of any kind."""
    for index in range(12):
        noise(24, 40, seed=index).save(tmp_path / f"{index}.png")
    plain = PictureFolder.open(tmp_path, 16, ahead=0, cache=0)
    eager = PictureFolder.open(tmp_path, 16, ahead=5, workers=4, cache=4000)
    asked = [(seed, step, crop) for crop in ("center", "random") for seed in (0, 1) for step in range(6)]
    expected = {key: plain.batch(key[0], key[1], 5, crop=key[2]) for key in asked}
    for key in [*asked, *reversed(asked), asked[7], asked[7]]:
        made = eager.batch(key[0], key[1], 5, crop=key[2])
        assert np.array_equal(made.pixels, expected[key].pixels) and made.indices == expected[key].indices
    eager.close()
    assert len({expected[key].pixels.tobytes() for key in asked}) == len(asked)


def test_pixels_are_in_order_of_channel_row_column_and_in_range(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 8), (255, 0, 51))
    image.putpixel((7, 0), (0, 255, 0))
    image.save(tmp_path / "a.png")
    folder = PictureFolder.open(tmp_path, 8, ahead=0)
    plain = folder.batch(0, 0, 1, hflip=False)
    assert plain.pixels.shape == (1, 3, 8, 8) and plain.pixels.dtype == np.float32
    assert plain.pixels[0, :, 5, 2].tolist() == pytest.approx([1, -1, -0.6])
    assert plain.pixels[0, :, 0, 7].tolist() == [-1, 1, -1]
    mirrored = [bool(folder.batch(0, step, 1).pixels[0, 1, 0, 0] == 1) for step in range(200)]
    assert 70 < sum(mirrored) < 130


def test_random_crops_move_along_the_long_side_only(tmp_path: Path) -> None:
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] * 4, 16, 0).repeat(3, 2)
    Image.fromarray(ramp).save(tmp_path / "wide.png")
    folder = PictureFolder.open(tmp_path, 16, ahead=0)
    left = {
        int((folder.batch(0, s, 1, False, "random").pixels[0, 0, 0, 0] + 1) * 127.5 / 4) for s in range(300)
    }
    assert min(left) <= 1 and max(left) >= 47 and len(left) > 40
    center = folder.batch(0, 5, 1, False).pixels
    assert round(float(center.mean() + 1) * 127.5) == pytest.approx(31.5 * 4, abs=1)


def test_a_small_set_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = PictureFolder.open(fill(tmp_path, 6), 16, ahead=0)
    for step in range(3):
        folder.batch(0, step, 2)
    shutil.rmtree(tmp_path)
    assert sorted(folder.batch(1, 1, 6).indices) == list(range(6))
    assert not folder.failed


def test_what_cannot_be_decoded_is_replaced_by_the_next_and_told(tmp_path: Path) -> None:
    fill(tmp_path, 6)
    cut_off(tmp_path / "cut.jpg")
    folder, again = (PictureFolder.open(tmp_path, 16, ahead=a) for a in (0, 3))
    assert len(folder) == 7
    walk = [folder.batch(0, step, 7).indices for step in range(4)]
    assert [again.batch(0, step, 7).indices for step in range(4)] == walk
    assert 6 not in {index for batch in walk for index in batch}
    assert all(Counter(batch).most_common(1)[0][1] <= 2 for batch in walk)
    assert list(folder.failed) == ["cut.jpg"] and "truncated" in folder.failed["cut.jpg"]
    again.close()


def test_a_run_whose_pictures_are_all_gone_ends_with_a_reason(tmp_path: Path) -> None:
    folder = PictureFolder.open(fill(tmp_path / "set", 3), 16)
    shutil.rmtree(tmp_path / "set")
    with pytest.raises(
        DataError, match=r"none of the 3 pictures can be decoded any more, such as .*No such file"
    ):
        folder.batch(0, 0, 2)
    folder.close()


def test_each_visit_draws_one_of_the_captions(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    (tmp_path / "000.txt").write_text("a cat\n\n  a  tabby \n")
    (tmp_path / "001.txt").write_text("a dog")
    folder = PictureFolder.open(tmp_path, 16, captions=True, ahead=0)
    assert folder.captions(0) == ("a cat", "a tabby")
    batches = [folder.batch(0, step, 2) for step in range(40)]
    said = Counter(
        (index, caption) for b in batches for index, caption in zip(b.indices, b.captions, strict=True)
    )
    assert said[1, "a dog"] == 40 and min(said[0, "a cat"], said[0, "a tabby"]) > 8


def test_portraits_have_another_backdrop_at_each_visit_and_the_same_at_the_same(tmp_path: Path) -> None:
    dot = Image.new("RGBA", (32, 32))
    dot.paste((255, 0, 255, 255), (8, 8, 24, 24))
    dot.save(tmp_path / "dot.png")
    folder = PictureFolder.open(tmp_path, 32, background="portrait", ahead=0)
    assert folder.picture(0).shape == (32, 32, 4)
    corners = {tuple(folder.batch(0, step, 1).pixels[0, :, 0, 0]) for step in range(20)}
    assert len(corners) > 15
    assert np.array_equal(folder.batch(0, 4, 1).pixels, folder.batch(0, 4, 1).pixels)


def test_the_digest_tells_whether_the_batches_are_the_same(tmp_path: Path) -> None:
    fill(tmp_path, 3, words=True)
    before = PictureFolder.open(tmp_path, 16, captions=True).digest
    assert PictureFolder.open(tmp_path, 16, captions=True).digest == before
    (tmp_path / "001.txt").write_text("another thing")
    changed = PictureFolder.open(tmp_path, 16, captions=True).digest
    os.rename(tmp_path / "002.png", tmp_path / "zzz.png")
    os.rename(tmp_path / "002.txt", tmp_path / "zzz.txt")
    assert len({before, changed, PictureFolder.open(tmp_path, 16, captions=True).digest}) == 3
