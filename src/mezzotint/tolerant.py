"""Picture files with torn or odd notes open as viewers open them: the pixels decide, what stands beside may be broken."""

from __future__ import annotations

import io
import struct
import zlib
from io import BufferedReader, BytesIO

from PIL import Image, ImageOps

from mezzotint.chunks import SIGNATURE, chunks

MAX_BYTES = 256 << 20  # of a file that is repaired


def repair_png(data: bytes) -> bytes:
    """A PNG without chunks that no pixel needs and that are broken, and without what follows its end.

    A file without fault, and one of another kind, comes back as it is. Chunks that pixels need are never touched:
    where one is broken the picture is.
    """
    if not data.startswith(SIGNATURE):
        return data
    parts = [SIGNATURE]
    for chunk in chunks(data):
        needed = not chunk.kind[0] & 0x20  # a capital letter: the standard calls it critical
        if needed or (chunk.whole and not (chunk.kind == b"eXIf" and not _is_exif(chunk.body))):
            crc = zlib.crc32(chunk.kind + chunk.body) ^ (not chunk.whole)
            parts.append(
                struct.pack(">I", len(chunk.body)) + chunk.kind + chunk.body + struct.pack(">I", crc)
            )
    fixed = b"".join(parts)
    whole = fixed.endswith(b"IEND" + struct.pack(">I", zlib.crc32(b"IEND")))
    return fixed if whole and fixed != data else data


def open_image(file: BufferedReader | BytesIO, formats: tuple[str, ...]) -> Image.Image:
    """`Image.open`, once more without broken notes where it fails. Raises what Pillow raises."""
    try:
        return Image.open(file, formats=formats)
    except (OSError, SyntaxError, ValueError, struct.error):
        file.seek(0)
        data = file.read(MAX_BYTES)
        fixed = repair_png(data)
        file.seek(0)
        if fixed is data:
            raise
        return Image.open(io.BytesIO(fixed), formats=formats)


def upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says; as it is where that is damaged."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # Pillow's reader of EXIF raises whatever damaged notes lead it to
        return image


def orientation(image: Image.Image) -> int:
    """EXIF's, 1 to 8; 1 where none is said or where it is damaged."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # as above
        return 1


def _is_exif(body: bytes) -> bool:
    try:
        exif = Image.Exif()
        exif.load(body)
        dict(exif)
    except Exception:  # as above
        return False
    return True
