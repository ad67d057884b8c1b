"""Pictures and their files: nothing lost, nothing torn, nothing trusted."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import resource
import struct
import zlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mezzotint.errors import DataError, OutputError
from mezzotint.picture import Picture, Provenance
from mezzotint.request import Request

PROVENANCE = Provenance(
    model="emoji",
    model_digest="0123456789abcdef",
    runtime="openvino",
    dtype="float32",
    mode="fast",
    device="cpu",
    versions={"mezzotint": "0.1.0", "openvino": "2026.4"},
    evaluations=20,
    seconds=0.5,
    created="2026-01-02T03:04:05+00:00",
)


def picture(request: Request | None = None, width: int = 16, height: int = 8) -> Picture:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Picture(Image.fromarray(pixels), request or Request("a cat"), PROVENANCE)


def forge(path: Path, **chunks: str) -> Path:
    info = PngInfo()
    for key, value in chunks.items():
        info.add_text(key, value)
    picture().image.save(path, pnginfo=info)
    return path


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@settings(max_examples=60, deadline=None)
@given(prompt=words, negative=words, seed=st.integers(0, 2**63 - 1))
def test_a_file_gives_back_what_was_saved(
    tmp_path_factory: Any, prompt: str, negative: str, seed: int
) -> None:
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    saved = picture(Request(prompt, negative, seed, sampler="ddim", eta=0.5))
    saved.save(path)
    opened = Picture.open(path)
    assert (opened.request, opened.provenance, opened.digest) == (
        saved.request,
        saved.provenance,
        saved.digest,
    )
    assert list(path.parent.iterdir()) == [path]


def test_a_file_from_before_threads_were_recorded() -> None:
    old = {key: value for key, value in asdict(PROVENANCE).items() if key != "threads"}
    assert Provenance.from_dict(old) == PROVENANCE


def test_the_digest_is_of_the_pixels() -> None:
    one = picture()
    assert one.digest == hashlib.sha256(np.asarray(one.image).tobytes()).hexdigest()
    assert one.digest == replace(one, request=Request("else")).digest
    assert one.digest != replace(one, image=one.image.rotate(180)).digest


def test_a_file_is_replaced_whole_and_respects_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    mask = os.umask(0o027)
    try:
        picture().save(path)
    finally:
        os.umask(mask)
    assert Picture.open(path).digest == picture().digest
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_full_disk_tears_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    picture().save(path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*a\.png: File too large") as caught:
            picture(width=64).save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_disk_that_fails_late_tears_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, broken, full)
        patch.setattr(Path, "replace", full) if broken == "replace" else None
        with pytest.raises(OutputError, match="No space left"):
            picture().save(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["missing/a.png", "folder.png", "a.jpg", "a", "n" * 300 + ".png"])
def test_what_cannot_be_written_says_so_in_a_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputError) as caught:
        picture().save(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.png"]


def header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def jpeg() -> bytes:
    buffer = io.BytesIO()
    picture().image.save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not a PNG"),
        (jpeg(), "is not a PNG"),
        (header(16, 8)[:20], "is not a PNG"),
        (header(16, 8), "is not a whole PNG"),
        (header(100_000, 100_000), "has 100000x100000 pixels"),
        (header(0, 8), "has 0x8 pixels"),
    ],
)
def test_a_file_that_is_no_picture_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DataError, match=message):
        Picture.open(tmp_path / "a.png")


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(header(5000, 5000))
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(DataError, match="5000x5000"):
        Picture.open(tmp_path / "a.png")


def test_a_huge_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mezzotint.files.MAX_BYTES", 1 << 20)
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate((1 << 20) + 1)
    with pytest.raises(DataError, match="larger than 1 MiB"):
        Picture.open(tmp_path / "a.png")


def test_a_text_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("mezzotint", " " * (8 << 20), zip=True)
    picture().image.save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(DataError, match="not a whole PNG"):
        Picture.open(tmp_path / "a.png")


@pytest.mark.parametrize("cut", [30, 60, 200, -13])
def test_a_torn_file_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.png"
    picture().save(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError):
        Picture.open(path)


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_the_file_or_nothing(tmp_path_factory: Any, where: float, bit: int) -> None:
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    picture().save(path)
    saved = Picture.open(path)
    data = bytearray(path.read_bytes())
    data[int(where * (len(data) - 12))] ^= 1 << bit  # the last chunk says only that the file ends
    path.write_bytes(data)
    try:
        opened = Picture.open(path)
    except DataError:
        return
    assert (opened.request, opened.provenance, opened.digest) == (
        saved.request,
        saved.provenance,
        saved.digest,
    )


@pytest.mark.parametrize("name", ["missing.png", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="cannot read"):
        Picture.open(tmp_path / name)


def test_a_picture_of_another_tool_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not say how it was made"):
        Picture.open(forge(tmp_path / "a.png", parameters="a cat\nSteps: 20"))


def _metadata(change: Callable[[dict[str, Any]], object]) -> str:
    data = {"request": json.loads(Request().to_json()), "provenance": {**PROVENANCE.__dict__}}
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "__import__('os').system('true')",
        "[" * 100_000,
        "9" * 10_000,
        "[]",
        "{}",
        _metadata(lambda d: d.update(extra=1)),
        _metadata(lambda d: d.update(request=[])),
        _metadata(lambda d: d["request"].update(steps="20")),
        _metadata(lambda d: d["request"].update(steps=10**9)),
        _metadata(lambda d: d["request"].update(stepz=20)),
        _metadata(lambda d: d.update(provenance=None)),
        _metadata(lambda d: d["provenance"].pop("model")),
        _metadata(lambda d: d["provenance"].update(model=1)),
        _metadata(lambda d: d["provenance"].update(evaluations=True)),
        _metadata(lambda d: d["provenance"].update(seconds=float("nan"))),
        _metadata(lambda d: d["provenance"].update(versions={"a": 1})),
        _metadata(lambda d: d["provenance"].update(warnings="none")),
        _metadata(lambda d: d["provenance"].update(extra=1)),
    ],
)
def test_metadata_is_parsed_with_a_schema(tmp_path: Path, text: str) -> None:
    path = forge(tmp_path / "a.png", mezzotint=text)
    with pytest.raises(DataError, match="not well"):
        Picture.open(path)
    assert Picture.open(forge(path, mezzotint=_metadata(lambda d: None))).provenance == PROVENANCE


def test_other_tools_read_the_parameters(tmp_path: Path) -> None:
    picture(Request("a cat", "rain", 7, steps=20)).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["parameters"] == (
            "a cat\nNegative prompt: rain\n"
            "Steps: 20, Sampler: DPM++ 2M, Schedule type: Automatic, CFG scale: 7.5, Seed: 7, Size: 16x8, "
            "Model hash: 0123456789, Model: emoji, RNG: CPU, Version: mezzotint 0.1.0"
        )
