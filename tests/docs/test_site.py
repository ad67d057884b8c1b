"""The site builds strictly, and then needs no network: nothing in it is fetched from elsewhere, and its search works."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from support import browser

ROOT = Path(__file__).parents[2]
needs_chromium = pytest.mark.skipif(browser.CHROMIUM is None, reason="there is no Chromium here")
ELSEWHERE = re.compile(r"\s*(https?:)?//")
TOLD = {"a", "form"}  # the reader goes there, or does not
SEARCH = """
const box = document.querySelector(".md-search__input"), found = () => document.querySelectorAll(".md-search-result__item");
box.focus();
box.value = "ledger";
for (const kind of ["input", "keyup"]) box.dispatchEvent(new Event(kind, {bubbles: true}));
for (let i = 0; i < 200 && !found().length; i++) await new Promise(done => setTimeout(done, 100));
said.found = found().length;
said.fetched = performance.getEntriesByType("resource").map(one => one.name).filter(name => /^http/.test(name));
said.wide = document.documentElement.scrollWidth > innerWidth;
said.broken = [...document.images].filter(one => !one.naturalWidth).map(one => one.src);
"""


class Fetched(HTMLParser):
    """What a browser would load by itself from a page."""

    def __init__(self) -> None:
        super().__init__()
        self.elsewhere: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in TOLD or (tag == "link" and given.get("rel") in ("canonical", "next", "prev")):
            return
        names = ("src", "srcset", "href", "data", "poster")
        self.elsewhere += [f"{tag} {given[name]}" for name in names if ELSEWHERE.match(given.get(name) or "")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="the docs extra is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) >= 14
    for page in pages:
        parser = Fetched()
        parser.feed(page.read_text())
        assert parser.elsewhere == [], page
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", style.read_text()), style


def test_what_the_program_knows_is_in_the_reference(site: Path) -> None:
    commands = (site / "reference/commands.html").read_text()
    for said in ("mezzotint generate", "mezzotint latents show", "--ledger", "dpmpp-2m"):
        assert said in commands, said
    assert "judge_score" in (site / "reference/metrics.html").read_text()
    assert "submit_all" in (site / "reference/python.html").read_text()
    assert "<!-- made" not in commands


@needs_chromium
def test_it_opens_from_a_folder_and_is_searched(site: Path, tmp_path: Path) -> None:
    said = browser.look(site / "tutorial/guidance.html", tmp_path / "profile", SEARCH)
    assert said["found"] > 0
    assert said["fetched"] == [] and said["broken"] == [] and not said["wide"]
