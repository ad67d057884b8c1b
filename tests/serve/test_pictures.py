"""Our own API, on a toy network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from mezzotint.picture import Picture
from mezzotint.serve.app import create_app
from mezzotint.serve.settings import ServeSettings
from toy import Toy


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(ServeSettings(models=("toy",), store=tmp_path / "store"), lambda source: Toy())
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def test_wait_answers_with_the_picture(client: TestClient, tmp_path: Path) -> None:
    answer = client.post("/v1/pictures?wait=1", json={"prompt": "a cat", "seed": 7, "steps": 4})
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png", answer.text
    (tmp_path / "a.png").write_bytes(answer.content)
    request = Picture.open(tmp_path / "a.png").request
    assert (request.prompt, request.seed, request.steps) == ("a cat", 7, 4)
