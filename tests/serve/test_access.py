"""Who may come in, and from where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from mezzotint.errors import ConfigError
from mezzotint.serve.access import PUBLIC
from mezzotint.serve.app import ROUTERS
from mezzotint.serve.rates import RateLimit
from mezzotint.serve.settings import ServeSettings
from mezzotint.serve.tokens import AccessTokens, read_tokens
from support.serving import Serve

TOKEN = "a-token-that-nobody-guesses"


def test_an_open_address_needs_a_token(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "192.168.1.5", "::", "example.org"):
        with pytest.raises(ConfigError, match="--token-file"):
            ServeSettings(host=host)
        ServeSettings(host=host, tokens=(TOKEN,))
    for host in ("127.0.0.1", "localhost", "::1", "127.1.2.3"):
        ServeSettings(host=host)


def test_every_route_but_two_is_closed_without_a_token(serve: Serve) -> None:
    client = serve(host="0.0.0.0", tokens=(TOKEN,), address="192.168.1.9")
    routes = [("/openapi.json", "GET"), ("/", "GET"), ("/nowhere", "POST"), ("/page/app.js", "GET")]
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, Route)
            routes += [(re.sub(r"\{[^}]*\}", "0", route.path), method) for method in route.methods or ()]
    assert len(routes) > 15
    open_ = set()
    for path, method in routes:
        for headers in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Cookie": "mezzotint=9999999999.me.00"}):
            if client.request(method, path, headers=headers).status_code not in (401, 429):
                open_.add(path)
    assert open_ - {"/login"} == PUBLIC - {"/login"}  # whose form says 401 itself


def test_a_token_opens_as_bearer_basic_and_session(serve: Serve) -> None:
    client = serve(tokens=(f"me:{TOKEN}",))
    for answer in (
        client.get("/v1/pictures", headers={"Authorization": f"Bearer {TOKEN}"}),
        client.get("/v1/pictures", auth=("anybody", TOKEN)),
    ):
        assert answer.status_code == 200
    assert client.post("/login", data={"token": TOKEN + "x"}).status_code == 401
    answer = client.post("/login", data={"token": TOKEN}, follow_redirects=False)
    cookie = answer.headers["set-cookie"].lower()
    assert answer.status_code == 303 and "httponly" in cookie and "samesite=strict" in cookie
    assert TOKEN not in cookie and client.get("/v1/pictures").status_code == 200
    forged = "1" + client.cookies["mezzotint"]
    client.cookies.clear()
    client.cookies.set("mezzotint", forged)
    assert client.get("/v1/pictures").status_code == 401


def test_a_session_ends_with_its_time_and_with_a_change_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = AccessTokens((f"me:{TOKEN}",))
    session = tokens.session("me")
    assert tokens.of_session(session) == "me"
    assert AccessTokens((TOKEN + "2",)).of_session(session) is None
    assert tokens.of_session(session.replace(".me.", ".you.")) is None and tokens.of_session("") is None
    monkeypatch.setattr("time.time", lambda: 2e10)
    assert tokens.of_session(session) is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1:7860"}, 200),
        ({"Host": "[::1]:7860"}, 200),
        ({"Host": "pictures.example"}, 200),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Host": "localhost", "Origin": "http://evil.example"}, 403),
        ({"Host": "localhost:7860", "Origin": "http://localhost:9999"}, 403),
        ({"Origin": "null"}, 403),
        ({"X-Forwarded-For": "1.2.3.4"}, 403),
    ],
)
def test_host_and_origin_are_ours(client: TestClient, headers: dict[str, str], status: int) -> None:
    answer = client.get("/v1/pictures", headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


def test_answers_carry_a_strict_policy(client: TestClient) -> None:
    for path in ("/healthz", "/v1/pictures", "/nowhere"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_wrong_tokens_and_submissions_are_bounded_by_client(serve: Serve) -> None:
    client = serve(tokens=(f"a:{TOKEN}", f"b:{TOKEN}b"), rate=2)
    orders = [
        client.post("/v1/pictures", json={"steps": 2}, headers={"Authorization": f"Bearer {token}"})
        for token in (TOKEN, TOKEN, TOKEN, TOKEN + "b")
    ]
    assert [answer.status_code for answer in orders] == [202, 202, 429, 202]
    assert int(orders[2].headers["retry-after"]) >= 1
    wrong = [client.get("/", headers={"Authorization": "Bearer no"}).status_code for _ in range(30)]
    assert wrong[0] == 401 and wrong[-1] == 429


def test_a_rate_fills_again_with_time() -> None:
    now = [0.0]
    rate = RateLimit(60, lambda: now[0])
    assert all(rate.wait("a") == 0 for _ in range(60))
    assert 0.9 < rate.wait("a") <= 1 and rate.wait("b") == 0
    now[0] += 2
    assert [rate.wait("a") > 0 for _ in range(3)] == [False, False, True]


def test_long_bodies_are_refused_before_they_are_read(serve: Serve) -> None:
    client = serve(max_upload=1024)
    assert client.post("/v1/pictures", content=b"x" * (5 << 20)).status_code == 413
    chunks = (b"x" * (1 << 20) for _ in range(6))
    assert client.post("/v1/pictures", content=chunks).status_code == 413


@pytest.mark.parametrize("text", ["", "# none", "short", "has spaces in the middle of it", "me:short"])
def test_token_files_hold_tokens_that_nobody_guesses(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokens").write_text(text)
    with pytest.raises(ConfigError, match="token"):
        read_tokens(tmp_path / "tokens")
    (tmp_path / "tokens").write_text(f"# mine\nme:{TOKEN}\n\n{TOKEN}2\n")
    assert read_tokens(tmp_path / "tokens") == (f"me:{TOKEN}", f"{TOKEN}2")
