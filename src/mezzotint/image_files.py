"""Picture files that nobody vouches for: texts inside PNG, JPEG and WebP, and files with torn or odd notes.

Such files open as viewers open them: the pixels decide, what stands beside them may be broken.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from io import BufferedReader, BytesIO
from typing import NamedTuple

from PIL import Image, ImageOps

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_TEXT = 4 << 20  # bytes of one text, unpacked
MAX_CHUNKS = 10_000
_TAGS = {
    0x9286: "UserComment",
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
}
_EXIF_IFD = 0x8769


class Chunk(NamedTuple):
    """A chunk of a PNG: its kind, its body, and whether its checksum is right."""

    kind: bytes
    body: bytes
    whole: bool


def chunks(data: bytes) -> Iterator[Chunk]:
    """Up to IEND, or to where the file is cut off; what comes after IEND is no part of the picture."""
    at = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if at + 12 > len(data):
            return
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if len(body) < length or len(data) < at + 12 + length:
            return
        crc = int.from_bytes(data[at + 8 + length : at + 12 + length], "big")
        yield Chunk(kind, body, zlib.crc32(kind + body) == crc)
        if kind == b"IEND":
            return
        at += 12 + length


def texts(data: bytes) -> dict[str, str]:
    """All texts of a picture by their names; EXIF's under the names of its tags. Never raises.

    The first of a name counts, and one that cannot be read is left out.
    """
    found: dict[str, str] = {}
    if data.startswith(SIGNATURE):
        for chunk in chunks(data):
            if chunk.kind in _READERS and chunk.whole:
                for name, text in _READERS[chunk.kind](chunk.body).items():
                    found.setdefault(name, text)
    elif data.startswith(b"\xff\xd8\xff"):
        for kind, body in _segments(data):
            if kind == 0xE1 and body.startswith(b"Exif\0\0"):
                found = {**exif_texts(body[6:]), **found}
            elif kind == 0xFE:
                found.setdefault("Comment", body[:MAX_TEXT].decode("utf-8", "replace"))
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        for part, body in _riff(data):
            if part == b"EXIF":
                found = {**exif_texts(body.removeprefix(b"Exif\0\0")), **found}
    return found


def exif_texts(data: bytes) -> dict[str, str]:
    """Texts of a TIFF structure: of its first directory and of the one for EXIF."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        return {}
    found: dict[str, str] = {}
    places = [struct.unpack(order + "I", data[4:8])[0]]
    for place in places:  # grows by the EXIF directory, once
        for tag, kind, count, value in _entries(data, place, order):
            if tag == _EXIF_IFD and len(places) == 1:
                places.append(struct.unpack(order + "I", value)[0])
            elif tag in _TAGS and kind in (1, 2, 6, 7) and count <= MAX_TEXT:
                at = struct.unpack(order + "I", value)[0]
                body = value[:count] if count <= 4 else data[at : at + count]
                found.setdefault(_TAGS[tag], _comment(body) if tag == 0x9286 else _plain(body))
    return found


def _entries(data: bytes, place: int, order: str) -> Iterator[tuple[int, int, int, bytes]]:
    if place + 2 > len(data):
        return
    (count,) = struct.unpack(order + "H", data[place : place + 2])
    for at in range(place + 2, min(place + 2 + 12 * min(count, 500), len(data) - 11), 12):
        tag, kind, number = struct.unpack(order + "HHI", data[at : at + 8])
        yield tag, kind, number, data[at + 8 : at + 12]


def _comment(body: bytes) -> str:
    """UserComment: eight bytes name its code. UTF-16 may be of either order, whatever the rest of the file is."""
    code, text = body[:8], body[8:]
    if code == b"UNICODE\0":
        if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return text.decode("utf-16", "replace").rstrip("\0")
        low, high = text[:2000:2].count(0), text[1:2000:2].count(0)
        return text.decode("utf-16-be" if low >= high else "utf-16-le", "replace").rstrip("\0")
    return _plain(text if code in (b"ASCII\0\0\0", b"\0" * 8) else body)


def _plain(body: bytes) -> str:
    return body.rstrip(b"\0").decode("utf-8", "replace").strip()


def _text(body: bytes) -> dict[str, str]:
    name, _, text = body.partition(b"\0")
    return {_name(name): _either(text[:MAX_TEXT])}


def _compressed_text(body: bytes) -> dict[str, str]:
    name, _, rest = body.partition(b"\0")
    text = _decompress(rest[1:]) if rest[:1] == b"\0" else None
    return {} if text is None else {_name(name): _either(text)}


def _international(body: bytes) -> dict[str, str]:
    name, _, rest = body.partition(b"\0")
    parts = rest[2:].split(b"\0", 2)
    if len(rest) < 2 or len(parts) < 3:
        return {}
    text = _decompress(parts[2]) if rest[0] else parts[2][:MAX_TEXT]
    return {} if text is None else {_name(name): text.decode("utf-8", "replace")}


def _exif(body: bytes) -> dict[str, str]:
    return exif_texts(body)


_READERS = {b"tEXt": _text, b"zTXt": _compressed_text, b"iTXt": _international, b"eXIf": _exif}


def _name(name: bytes) -> str:
    return name[:80].decode("latin-1")


def _either(text: bytes) -> str:
    """The standard says Latin-1; many write UTF-8."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _decompress(data: bytes) -> bytes | None:
    """At most `MAX_TEXT` bytes; None where it cannot be unpacked, or would be more."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, MAX_TEXT)
    except zlib.error:
        return None
    return None if unpacker.unconsumed_tail else text


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, body) of a JPEG, up to its pixels."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        yield data[at + 1], data[at + 4 : at + 2 + length]
        at += 2 + max(length, 2)


def _riff(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack("<4sI", data[at : at + 8])
        yield kind, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


MAX_REPAIRED_BYTES = 256 << 20  # of a file that is repaired


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
        data = file.read(MAX_REPAIRED_BYTES)
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
