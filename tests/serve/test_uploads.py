"""Files that clients bring, and what is kept beside pictures."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from mezzotint import library
from support.serving import Encoding, Serve


def png(width: int = 64, height: int = 64, color: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), color).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def _own_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_run_starts_from_an_uploaded_picture(serve: Serve) -> None:
    client = serve(Encoding())
    told = client.post("/v1/uploads", content=png()).json()
    assert (told["width"], told["height"]) == (64, 64)
    mask = client.post("/v1/uploads", content=png(color="black")).json()["digest"]
    order = {"init": told["digest"], "mask": mask, "steps": 4}
    answer = client.post("/v1/pictures?wait=1", json=order)
    assert np.asarray(Image.open(io.BytesIO(answer.content))).reshape(-1, 3).tolist() == [[255, 0, 0]] * 64**2
    again = client.get(f"/v1/uploads/{told['digest']}")
    assert np.asarray(Image.open(io.BytesIO(again.content))).shape == (64, 64, 3)
    job = client.post("/v1/pictures", json={"init": told["digest"], "steps": 9}).json()
    assert job["evaluations"] == 9 - 4  # it begins half way


def bomb() -> bytes:
    """A PNG whose header says 100,000 pixels a side."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a" + b"0" * 100, png()[:60], bomb(), b"\xff\xd8\xff", b"<svg onload=alert(1)/>"]
)
def test_what_is_no_picture_is_refused_and_no_path_is_told(client: TestClient, data: bytes) -> None:
    answer = client.post("/v1/uploads", content=data)
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert "the upload" in message and "/" not in message.replace("RGB", "")


def test_files_are_bounded(serve: Serve) -> None:
    client = serve(max_upload=2000)
    assert client.post("/v1/uploads", content=b"x" * 3000).status_code == 413


@pytest.mark.parametrize("digest", ["0" * 64, "..%2f..%2fetc%2fpasswd", "a" * 63, "A" * 64])
def test_no_other_file_is_reached_by_a_digest(client: TestClient, digest: str) -> None:
    assert client.get(f"/v1/uploads/{digest}").status_code in (400, 404, 422)


def test_adapters_and_words_come_in_where_the_owner_says_so(client: TestClient) -> None:
    for path in ("/v1/adapters", "/v1/words"):
        assert client.post(path, content=b"x").status_code == 403


def test_no_pickle_comes_in(serve: Serve) -> None:
    client = serve(allow_adapters=True)
    for path in ("/v1/adapters", "/v1/words"):
        answer = client.post(path, content=b"\x80\x04cos\nsystem\n")
        assert answer.status_code == 400 and "/tmp" not in answer.text


def test_a_word_is_kept_by_its_content(serve: Serve) -> None:
    from safetensors.numpy import save

    client = serve(allow_adapters=True)
    data = save({"<cat-toy>": np.ones((1, 32), np.float32)})
    told = client.post("/v1/words", content=data)
    assert told.status_code == 201 and told.json()["word"] == "<cat-toy>"
    assert len(told.json()["digest"]) == 64


def test_a_trace_can_be_looked_at_frame_by_frame(serve: Serve) -> None:
    client = serve(Encoding())
    job = client.post("/v1/pictures", json={"steps": 6, "trace": 2, "preview": 1, "n": 2}).json()
    with client.stream("GET", f"/v1/pictures/{job['id']}/events") as events:
        heard = events.read().decode()
    assert "data:image/jpeg;base64," in heard or "event: finished" in heard
    images = f"/v1/pictures/{job['id']}/images"
    assert client.get(f"{images}/0/trace").json() == {"evaluations": [2, 4, 6], "frames": 3, "channels": 4}
    last = client.get(f"{images}/0/trace/2").content
    whole = client.get(f"{images}/0").content
    assert np.array_equal(*(np.asarray(Image.open(io.BytesIO(one))) for one in (last, whole)))
    assert client.get(f"{images}/0/trace/0/channels/3").status_code == 200
    for path in ("0/trace/3", "0/trace/0/channels/4", "0/attention", "0/attention/0", "9/trace"):
        assert client.get(f"{images}/{path}").status_code == 404, path
    assert client.get(f"{images}/0/ledger").json() == []


def test_uploads_are_those_of_the_library(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(color="blue"))
    assert serve().post("/v1/uploads", content=png(color="blue")).json()["digest"] == library.keep(
        tmp_path / "a.png"
    )
