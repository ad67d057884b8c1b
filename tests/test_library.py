"""The picture library: what comes in is checked, what is kept is named by its content, what is gone is told."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mezzotint import library
from mezzotint.errors import DataError, OutputError, RequestError


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8))


def png(width: int, height: int, body: bytes = b"") -> bytes:
    """A PNG that says it has this size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(body)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c)) + kind + c + struct.pack(">I", zlib.crc32(kind + c)) for kind, c in chunks
    )


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.jpg"])
def test_a_picture_comes_back(tmp_path: Path, image: Image.Image, name: str) -> None:
    image.save(tmp_path / name, lossless=True, quality=100)
    digest = library.keep(tmp_path / name, tmp_path / "cache")
    kept = library.pixels(digest, tmp_path / "cache")
    assert kept.dtype == np.uint8
    if name == "a.jpg":
        image = Image.open(tmp_path / name)
    assert np.array_equal(kept, np.asarray(image.convert("RGB")))
    stored = (tmp_path / "cache/pictures" / digest).read_bytes()
    assert hashlib.sha256(stored).hexdigest() == digest


def test_the_digest_is_of_the_pixels_not_of_their_file(tmp_path: Path, image: Image.Image) -> None:
    image.save(tmp_path / "a.png", compress_level=1)
    image.save(tmp_path / "b.png", compress_level=9)
    image.save(tmp_path / "c.webp", lossless=True)
    assert len({library.keep(tmp_path / name, tmp_path) for name in ("a.png", "b.png", "c.webp")}) == 1
    assert len(list((tmp_path / "pictures").iterdir())) == 1


def test_a_turned_picture_is_turned_back(tmp_path: Path, image: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown a quarter turned
    image.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(library.read(tmp_path / "a.png"), np.rot90(np.asarray(image), -1))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_on_white(tmp_path: Path, mode: str) -> None:
    clear = Image.new("RGBA", (4, 4), (10, 20, 30, 0)).convert(mode)
    clear.save(tmp_path / "a.png", **({"transparency": clear.getpixel((0, 0))} if mode == "P" else {}))
    assert (library.read(tmp_path / "a.png") == 255).all()


def test_sixteen_bits_and_four_inks(tmp_path: Path) -> None:
    deep = np.array([[0, 257, 32896, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert library.read(tmp_path / "deep.png")[0, :, 0].tolist() == [0, 1, 128, 255]
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "inks.jpg")
    red, green, blue = library.read(tmp_path / "inks.jpg")[4, 4]
    assert red > 240 and green < 15 and blue < 15


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (png(60_000, 60_000), "has 60000x60000 pixels; at most 16777216"),
        (png(0, 5), "damaged header|has 0x5 pixels"),
        (png(100, 100, b"\0" * 50), "not a whole picture"),
        (png(8, 8, bytes(8 * 25))[:-20], "not a whole picture"),
        (png(8, 8, bytes(8 * 25)).replace(b"IEND", b"IENX"), "not a whole picture"),
        (b"\x89PNG\r\n\x1a\nxx", "damaged header"),
        (b"\xff\xd8\xff\xe0garbage", "damaged header|not a whole picture"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "damaged header|not a whole picture"),
        (b"GIF89a\x01\0\x01\0", "not a PNG, JPEG or WebP"),
        (b"", "not a PNG, JPEG or WebP"),
    ],
)
def test_what_is_no_picture_is_one_error(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=said) as told:
        library.keep(tmp_path / "a.png", tmp_path)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "pictures").exists()


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.jpg"])
def test_a_file_cut_anywhere_is_a_picture_or_an_error(tmp_path: Path, image: Image.Image, name: str) -> None:
    buffer = io.BytesIO()
    image.save(buffer, {".png": "PNG", ".webp": "WEBP", ".jpg": "JPEG"}[Path(name).suffix])
    whole = buffer.getvalue()
    for end in range(0, len(whole) - 1, max(1, len(whole) // 40)):
        (tmp_path / name).write_bytes(whole[:end])
        with pytest.raises(DataError):
            library.read(tmp_path / name)


def test_a_huge_file_or_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="cannot read"):
        library.keep(tmp_path / "none.png", tmp_path)
    monkeypatch.setattr("mezzotint.files.MAX_BYTES", 10)
    (tmp_path / "a.png").write_bytes(png(1, 1))
    with pytest.raises(DataError, match="is larger than"):
        library.keep(tmp_path / "a.png", tmp_path)


@pytest.mark.parametrize("digest", ["0" * 64, "../../etc/passwd", "", "A" * 64, "0" * 63])
def test_what_is_not_kept_is_asked_for_again(tmp_path: Path, digest: str) -> None:
    with pytest.raises(RequestError, match="give it again with --init FILE"):
        library.pixels(digest, tmp_path)


def test_a_damaged_picture_is_not_believed(tmp_path: Path, image: Image.Image) -> None:
    image.save(tmp_path / "a.png")
    digest = library.keep(tmp_path / "a.png", tmp_path)
    place = tmp_path / "pictures" / digest
    place.write_bytes(place.read_bytes()[:-1] + b"?")
    with pytest.raises(RequestError, match="--init"):
        library.pixels(digest, tmp_path)


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, image: Image.Image) -> None:
    image.save(tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot keep"):
        library.keep(tmp_path / "a.png", tmp_path / "file")


def test_fitted_keeps_the_middle_and_the_proportions() -> None:
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 8:32] = 255
    cut = library.fit_to_size(wide, 20, 20)
    assert cut.shape == (20, 20, 3)
    assert (cut == 255).all()
    assert library.fit_to_size(wide, 40, 10) is wide


@pytest.mark.parametrize("orientation", range(1, 9))
def test_keep_mask_turns_a_mask_of_the_stored_picture_with_it(orientation: int, tmp_path: Path) -> None:
    """A mask that equals the stored picture, pixel by pixel, is kept as the picture is; an upright one stays."""
    stored = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "photo.png", exif=exif)
    stored.save(tmp_path / "mask.png")
    upright = library.keep(tmp_path / "photo.png", tmp_path)
    if orientation >= 5:  # the others keep width and height, so a mask is taken for upright
        assert library.keep_mask(tmp_path / "mask.png", tmp_path / "photo.png", tmp_path) == upright
    Image.fromarray(library.pixels(upright, tmp_path)).save(tmp_path / "upright.png")
    assert library.keep_mask(tmp_path / "upright.png", tmp_path / "photo.png", tmp_path) == upright
