"""The picture library: what runs start from, named by its content, so that a Request can say which it was.

A foreign file is decoded once, when it comes in. What is kept is plain pixels (PPM: a header and the bytes),
because the compressed bytes of a PNG differ between versions of zlib: so the same picture has the same digest
on every machine, and reading it back decodes nothing.
"""

from __future__ import annotations

import hashlib
import io
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from mezzotint.errors import DataError, RequestError
from mezzotint.files import default_cache, put, read_bounded
from mezzotint.image_files import repair_png, upright
from mezzotint.picture import check_pixels

Pixels = NDArray[np.uint8]  # (H, W, 3)
# The first bytes of a file tell what reads it; Pillow's other formats are never tried.
_READERS = {
    rb"\x89PNG\r\n\x1a\n": PngImageFile,
    rb"\xff\xd8\xff": JpegImageFile,
    rb"RIFF[\s\S]{4}WEBP": WebPImageFile,
}
_ORIENTATION = 0x0112
_TURNS = {  # of EXIF orientations that swap width and height, as ImageOps.exif_transpose turns them
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PPM = re.compile(rb"P6\n(\d{1,5}) (\d{1,5})\n255\n")


def keep(path: Path | str, cache: Path | None = None) -> str:
    """Take a PNG, JPEG or WebP file into the library; returns the sha256 of what is kept, 64 hex digits.

    DataError where it is no whole picture of at most 4096x4096 pixels and 64 MiB, OutputError where nothing can be
    kept.
    """
    return _keep(read(path), path, cache)


def keep_mask(path: Path | str, picture: Path | str, cache: Path | None = None) -> str:
    """As `keep`, of a mask; one that fits its picture only as stored is turned as the picture's EXIF says."""
    mask, shape = read(path), read(picture).shape
    if mask.shape != shape and mask.shape[:2] == shape[1::-1]:
        data = io.BytesIO(repair_png(read_bounded(Path(picture))))
        with suppress(Exception), Image.open(data, formats=("PNG", "JPEG", "WEBP")) as stored:
            turn = _TURNS[
                stored.getexif()[_ORIENTATION]
            ]  # none where EXIF is missing, damaged or says otherwise
            mask = np.asarray(Image.fromarray(mask).transpose(turn))
    return _keep(mask, path, cache)


def _keep(pixels: Pixels, path: Path | str, cache: Path | None) -> str:
    data = b"P6\n%d %d\n255\n" % (pixels.shape[1], pixels.shape[0]) + pixels.tobytes()
    digest = hashlib.sha256(data).hexdigest()
    place = _place(digest, cache)
    put(place, data, f"keep {path} in {place.parent}")
    return digest


def pixels(digest: str, cache: Path | None = None) -> Pixels:
    """(H, W, 3) of a picture that was kept. RequestError where it is not, or no longer, there."""
    try:
        data = _place(digest, cache).read_bytes() if re.fullmatch("[0-9a-f]{64}", digest) else b""
    except OSError:
        data = b""
    header = _PPM.match(data)
    if header is None or hashlib.sha256(data).hexdigest() != digest:
        raise RequestError(f"no picture {digest[:64]!r} is kept here; give it again with --init FILE")
    width, height = map(int, header.groups())
    return np.frombuffer(data, np.uint8, offset=header.end()).reshape(height, width, 3).copy()


def read(path: Path | str) -> Pixels:
    """(H, W, 3) of a PNG, JPEG or WebP file as it is meant to be seen: turned by its EXIF, transparency on white."""
    path = Path(path)
    data = repair_png(read_bounded(path))
    reader = next((kind for magic, kind in _READERS.items() if re.match(magic, data)), None)
    if reader is None:
        raise DataError(f"{path} is not a PNG, JPEG or WebP picture")
    with _open_header(path, reader, data) as image:
        check_pixels(path, *image.size)
    try:
        if reader is PngImageFile:
            _open_header(
                path, reader, data
            ).verify()  # the checksums of all chunks; after this it must be opened anew
        with _open_header(path, reader, data) as image:
            image.load()
            return np.asarray(_plain(upright(image)))
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        raise DataError(f"{path} is not a whole picture: {error}") from None


def fit_to_size(pixels: Pixels, width: int, height: int) -> Pixels:
    """A picture, in colors or (H, W), at another size: scaled until it covers it, then cut to its middle."""
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(ImageOps.fit(Image.fromarray(pixels), (width, height), Image.Resampling.LANCZOS))


def _place(digest: str, cache: Path | None) -> Path:
    return (cache or default_cache()) / "pictures" / digest


def _open_header(path: Path, reader: type[Image.Image], data: bytes) -> Image.Image:
    """With its header read and nothing else; not by `Image.open`, which warns of sizes before they are checked."""
    try:
        return reader(io.BytesIO(data))  # type: ignore[call-arg]  # of its files
    except Exception as error:
        raise DataError(f"{path} has a damaged header: {error}") from None


def _plain(image: Image.Image) -> Image.Image:
    """RGB, 8 bits."""
    if image.mode.startswith(("I", "F")):
        deep = np.asarray(image).astype(np.int64) // 257  # 16 bits to 8: 65535 becomes 255
        image = Image.fromarray(deep.clip(0, 255).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    above = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above).convert("RGB")
