"""Small picture files of every kind, whole and not."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def noise(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Smooth colors that differ from corner to corner and from seed to seed."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 4, 4), np.uint8), "RGBA" if mode == "RGBA" else None)
    return small.resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def fill(folder: Path, count: int, side: int = 16, words: bool = False) -> Path:
    """PNGs 000.png, 001.png …, each of another color, with captions beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        image = Image.new("RGB", (side, side), (index % 256, index // 256, 128))
        image.putpixel((0, 0), (255, 255, 255))
        image.save(folder / f"{index:03}.png")
        if words:
            (folder / f"{index:03}.txt").write_text(f"picture {index}")
    return folder


def bomb(path: Path, side: int = 40_000) -> None:
    """A PNG of a few bytes whose header promises gigabytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )


def cut_off(path: Path, share: float = 0.5) -> None:
    """A JPEG whose header is whole and whose pixels end early."""
    buffer = io.BytesIO()
    noise(200, 200).save(buffer, "JPEG", quality=95)
    data = buffer.getvalue()
    path.write_bytes(data[: int(len(data) * share)])
