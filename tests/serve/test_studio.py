"""The page: its files come whole and closed in by the policy, and what it asks for answers."""

from __future__ import annotations

import re

import pytest

from mezzotint.serve.studio import FILES, FOLDER
from support.serving import Serve


def test_page_is_served_with_a_policy_and_without_inline_code(serve: Serve) -> None:
    answer = serve().get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|\sstyle=", answer.text)


def test_page_files_are_all_there_and_of_their_kind(serve: Serve) -> None:
    client = serve()
    for name, kind in (
        (n, {"js": "text/javascript", "css": "text/css"}.get(n.rsplit(".")[-1], "")) for n in FILES
    ):
        answer = client.get(f"/page/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)


def test_page_scripts_import_files_that_exist() -> None:
    for path in FOLDER.glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', path.read_text()):
            assert name in FILES, f"{path.name} imports {name}"


def test_page_asks_nothing_of_other_hosts() -> None:
    for name, path in FILES.items():
        if path.suffix in (".js", ".css", ".html") and not name.startswith("vendor"):
            assert not re.search(r"https?://(?!www\.w3\.org)", path.read_text()), name


@pytest.mark.parametrize("name", ["../app.py", "%2e%2e/app.py", "nothing.js", "/etc/passwd"])
def test_page_gives_no_other_file(serve: Serve, name: str) -> None:
    assert serve().get(f"/page/{name}").status_code == 404
