"""How a server is run: documentation, deployment, numbers, logs, models that come and go."""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml
from PIL import Image
from starlette.testclient import TestClient
from typer.main import get_command

from docs.blocks import blocks
from mezzotint.cli import main
from mezzotint.cli.app import app as cli
from mezzotint.errors import ConfigError, OutputError
from mezzotint.serve.app import create_app
from mezzotint.serve.claim import StoreClaim
from mezzotint.serve.hosts import EngineHosts
from mezzotint.serve.logs import LineFormatter
from mezzotint.serve.settings import ServeSettings
from support.serving import Encoding, Serve
from support.toy import Toy

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/serving.md"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Of a server on a toy called emoji, over real sockets."""
    settings = ServeSettings(store=tmp_path / "store")
    app = create_app(settings, lambda source: Encoding(default_size=(128, 128)))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def test_the_curl_lines_of_the_documentation_run(port: int, tmp_path: Path) -> None:
    text = "".join(block.text for block in blocks(PAGE) if block.language == "bash")
    assert text.count("curl ") >= 8
    script = text.replace("127.0.0.1:7860", f"127.0.0.1:{port}").replace(
        "curl -s", "curl -sS --fail-with-body"
    )
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    ran = subprocess.run(
        ["bash", "-e", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout
    said: dict[str, Any] = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    for name in ("rose.png", "rose-3.png", "blue.png"):
        with Image.open(tmp_path / name) as image:
            assert image.size == (128, 128)
    assert said["state"]["state"] == "finished" and said["state"]["total"] == 4
    assert said["first"]["id"] == said["again"]["id"]
    assert said["sweep"]["finished"] == 2 * 3 * 2
    assert "event: done" in ran.stdout


def test_numbers_are_there_for_prometheus(serve: Serve) -> None:
    client = serve()
    client.post("/v1/pictures?wait=1", json={"steps": 3, "guidance": 1, "prompt": "secret words"})
    text = client.get("/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(lines['mezzotint_pictures_total{model="toy",outcome="finished"}']) == 1
    assert float(lines['mezzotint_network_rows_total{model="toy"}']) == 3
    assert float(lines["mezzotint_queue_pictures"]) == 0
    answers = 'mezzotint_answers_total{method="POST",route="/v1/pictures",status="200"}'
    assert float(lines[answers]) == 1
    assert "secret" not in text


def test_logs_are_json_lines_without_prompts(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    client = serve()
    with caplog.at_level(logging.INFO, "mezzotint.serve"):
        client.post("/v1/pictures?wait=1&format=webp", json={"steps": 1, "prompt": "secret words"})
    lines = [json.loads(LineFormatter(as_json=True).format(record)) for record in caplog.records]
    [answered] = [line for line in lines if line["event"] == "answered"]
    assert answered["path"] == "/v1/pictures" and answered["status"] == 200
    assert "secret" not in json.dumps(lines)


def test_prompts_are_logged_where_the_owner_says_so(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    client = serve(log_prompts=True)
    with caplog.at_level(logging.INFO, "mezzotint.serve"):
        client.post("/v1/pictures?wait=1", json={"steps": 1, "prompt": "secret words"})
    assert any("secret words" in LineFormatter(as_json=True).format(record) for record in caplog.records)


def test_a_server_that_goes_down_takes_nothing_new(serve: Serve) -> None:
    client = serve()
    assert client.get("/readyz").status_code == 200
    client.app.state.service.drain()  # type: ignore[attr-defined]
    assert client.get("/readyz").status_code == 503
    answer = client.post("/v1/pictures", json={"steps": 1})
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
    assert client.get("/healthz").status_code == 200


def test_a_store_has_one_server(tmp_path: Path) -> None:
    claim = StoreClaim(tmp_path)
    with pytest.raises(OutputError, match="another server"):
        StoreClaim(tmp_path)
    claim.close()
    StoreClaim(tmp_path).close()


def test_a_database_that_cannot_be_opened_is_told_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        create_app(ServeSettings(store=tmp_path, database="nosuch://me:secret@host/db"))
    assert "secret" not in str(error.value)


def test_the_least_recently_used_model_makes_room(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "w.safetensors").write_bytes(b"0" * 100)
    hosts = EngineHosts(
        {name: str(tmp_path / name) for name in "abc"}, lambda source: Toy(), "fast", max_memory=250
    )
    for name in "aba":
        held = hosts.acquire(name)
        assert held
        hosts.release(held)
    held = hosts.acquire("c")
    assert held and [host.name for host in hosts.loaded()] == ["a", "c"]
    also = hosts.acquire("a")
    assert also and hosts.acquire("b") is None  # the others draw
    hosts.release(held)
    hosts.release(also)
    hosts.close(drain=False)


def test_two_models_take_turns_where_there_is_room_for_one(serve: Serve, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "w.safetensors").write_bytes(b"0" * 100)
    client = serve(models=(str(tmp_path / "a"), str(tmp_path / "b")), max_memory=150)
    urls = [
        client.post("/v1/pictures", json={"model": name, "steps": 3, "n": 3}).headers["location"]
        for name in "abab"
    ]
    for url in urls:
        with client.stream("GET", f"{url}/events") as events:
            events.read()
        assert client.get(url).json()["state"] == "finished"


def test_an_engine_that_ended_is_opened_anew(serve: Serve) -> None:
    client = serve()
    assert client.post("/v1/pictures?wait=1", json={"steps": 1}).status_code == 200
    client.app.state.service.hosts.find("toy").engine.close()  # type: ignore[attr-defined]
    assert client.post("/v1/pictures?wait=1", json={"steps": 1}).status_code == 200


def test_engines_are_given_what_fills_a_call_and_little_more(serve: Serve) -> None:
    gate = threading.Event()
    network = Toy(max_rows=8, before=lambda x, timestep, text: gate.wait(20) and None)
    client = serve(network)
    job = client.post("/v1/pictures", json={"steps": 4, "n": 30, "prompt": "a cat"}).json()
    board = client.app.state.service.board  # type: ignore[attr-defined]
    while board.counts() != (5, 25):  # ten rows for a call of eight
        time.sleep(0.01)
    gate.set()
    with client.stream("GET", f"/v1/pictures/{job['id']}/events") as events:
        events.read()
    rows = [asked for asked, _ in network.calls]
    assert max(rows) == 8 and sum(rows) == 30 * 4 * 2


def test_an_open_address_without_a_token_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--token-file" in said


def test_the_description_of_the_interface_is_whole(client: TestClient) -> None:
    told = client.get("/openapi.json").json()
    assert len(told["paths"]) >= 18
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            assert operation["description"] and operation["responses"], (method, path)
    order = told["components"]["schemas"]["PictureOrder"]
    assert order["examples"] and all(field.get("description") for field in order["properties"].values())


def options(words: list[str]) -> None:
    """Raises where `mezzotint serve` has no such options."""
    command = get_command(cli).commands["serve"]  # type: ignore[attr-defined]
    command.make_context("serve", words)


def test_deployment_files_say_options_that_there_are(tmp_path: Path) -> None:
    deploy = ROOT / "deploy"
    unit = (deploy / "mezzotint.service").read_text()
    [line] = re.findall(r"ExecStart=\S+ serve (.*)", unit)
    options(shlex.split(line))
    docker = (deploy / "Dockerfile").read_text()
    [line] = re.findall(r"^CMD (\[.*\])", docker, re.MULTILINE)
    options(json.loads(line))
    compose = yaml.safe_load((deploy / "compose.yaml").read_text())
    [service] = compose["services"].values()
    assert (deploy / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    for text in (PAGE.read_text(), (deploy / "nginx.conf").read_text()):
        for line in re.findall(r"mezzotint serve (--.*)", text):
            options(shlex.split(line))
