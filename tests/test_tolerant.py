"""A picture with torn or odd notes opens as viewers open it, wherever pictures are read."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest

from mezzotint import library
from mezzotint.data.pictures.decode import decode, look
from mezzotint.errors import DataError
from mezzotint.image_files import repair_png
from mezzotint.picture import Picture
from support import foreign_pictures as files
from support.made import picture

ODD = {
    "a broken eXIf": files.chunk(b"eXIf", b"no exif at all"),
    "an eXIf cut off": files.chunk(b"eXIf", b"II*\0\xff\0\0\0"),
    "a text with a wrong checksum": files.chunk(b"tEXt", b"parameters\0a cat", whole=False),
    "a text that does not unpack": files.chunk(b"zTXt", b"parameters\0\0torn", whole=False),
    "an unknown note with a wrong checksum": files.chunk(b"abCd", b"x", whole=False),
}
odd = pytest.mark.parametrize("kind", [*ODD, "rubbish after the end"])


def damaged(data: bytes, kind: str) -> bytes:
    return files.insert(data, ODD[kind]) if kind in ODD else data + b"rubbish" * 9


@odd
def test_init_masks_and_data_read_the_same_pixels(tmp_path: Path, kind: str) -> None:
    good, bad = files.plain_png(), damaged(files.plain_png(), kind)
    (tmp_path / "good.png").write_bytes(good)
    (tmp_path / "bad.png").write_bytes(bad)
    assert np.array_equal(library.read(tmp_path / "good.png"), library.read(tmp_path / "bad.png"))
    assert look(io.BytesIO(bad))[:2] == (16, 8)
    assert np.array_equal(decode(io.BytesIO(bad), 8), decode(io.BytesIO(good), 8))


@odd
def test_our_own_picture_opens(tmp_path: Path, kind: str) -> None:
    picture(3).save(tmp_path / "a.png")
    whole = Picture.open(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(damaged((tmp_path / "a.png").read_bytes(), kind))
    again = Picture.open(tmp_path / "a.png")
    assert (again.digest, again.request) == (whole.digest, whole.request)


def test_a_jpeg_with_broken_exif_opens(tmp_path: Path) -> None:
    path = files.with_comment(tmp_path / "a.jpg", "text")
    path.write_bytes(
        path.read_bytes()
        .replace(b"Exif\0\0", b"Exif\0\0xx", 1)
        .replace(b"xxMM", b"xx", 1)
        .replace(b"xxII", b"xx", 1)
    )
    assert library.read(path).shape == (8, 8, 3)


def test_broken_pixels_are_still_an_error(tmp_path: Path) -> None:
    data = files.plain_png()
    at = data.index(b"IDAT") + 6
    torn = data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :]
    for number, bad in enumerate((torn, damaged(torn, "a broken eXIf"), data[:-20])):
        (tmp_path / f"{number}.png").write_bytes(bad)
        with pytest.raises(DataError):
            library.read(tmp_path / f"{number}.png")


def test_a_whole_file_is_left_as_it_is() -> None:
    data = files.insert(files.plain_png(), files.chunk(b"zTXt", b"a\0\0" + zlib.compress(b"text")))
    assert repair_png(data) is data
    assert repair_png(b"no png") == b"no png"
