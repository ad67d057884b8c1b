"""The fenced blocks of a tutorial page: read, checked, and run in order as a reader would.

```bash blocks are lines of `mezzotint ...`; ```python blocks share one namespace; a ```yaml block with a title is that file.
The comment `<!-- check only: why -->` before a block says that it is not run (it needs a hub, or minutes).
`<!-- from: GLOB -->` before a picture says which files of the page's own commands it shows.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

DOCS = Path(__file__).parent
PAGES = [DOCS / "index.md", *sorted(DOCS.glob("tutorial/*.md"))]
_FENCE = re.compile(
    r"""^(?P<skip><!--\ check\ only:[^\n]*-->\n+)?
        ^```(?P<language>\w+)(?:\ title="(?P<title>[^"]+)")?[^\n]*\n(?P<text>.*?)^```$""",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
_PICTURE = re.compile(r"<!-- from: (?P<glob>[^\n]+) -->\n!\[[^\]]*\]\((?P<path>[^)]+)\)")


class Block(NamedTuple):
    """One fenced block; `runs` is false where it is only checked."""

    page: str
    line: int  # of the page, from 1
    language: str
    title: str
    text: str
    runs: bool

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command; lines that end in a backslash go on, what follows a # is for the reader."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


class Shown(NamedTuple):
    """A picture on a page, and the files that it shows."""

    glob: str
    path: Path


def blocks(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    text = page.read_text()
    return [
        Block(page.stem, text[: found.start("text")].count("\n"), found["language"], found["title"] or "",
              found["text"], not found["skip"])
        for found in _FENCE.finditer(text)
    ]  # fmt: skip


def shown(page: Path) -> list[Shown]:
    """All pictures of a page that its commands make."""
    return [
        Shown(found["glob"], page.parent / found["path"]) for found in _PICTURE.finditer(page.read_text())
    ]


def is_slow(page: Path) -> bool:
    """Whether a page takes more than some seconds: it says so at its head."""
    return page.read_text().startswith("---\nslow: true\n---\n")


def run(page: Path, folder: Path) -> None:
    """Do all that a page says, in a folder. RuntimeError names the page, the line and the command that failed."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with chdir(folder):
        for block in blocks(page):
            if block.runs:
                _run(block, names)


def _run(block: Block, names: dict[str, Any]) -> None:
    if block.language == "bash":
        for words in block.commands:
            _command(block, words)
    elif block.language == "python":
        exec(compile("\n" * block.line + block.text, f"{block.page}.md", "exec"), names)
    elif block.title:
        Path(block.title).write_text(block.text)


def _command(block: Block, words: list[str]) -> None:
    from mezzotint.cli import main

    if words[0] != "mezzotint":
        raise RuntimeError(f"{block.page}, line {block.line}: only mezzotint is run, not {words[0]}")
    sys.argv, before = list(words), sys.argv
    try:
        code = main(list(_expanded(words[1:])))
    finally:
        sys.argv = before
    if code:
        raise RuntimeError(f"{block.page}, line {block.line}: exit code {code} from {shlex.join(words)}")


def _expanded(words: list[str]) -> Iterator[str]:
    """As a shell does with stars: the files that fit, else the word itself."""
    for word in words:
        yield from (sorted(glob.glob(word)) if "*" in word else []) or [word]


def files(pattern: str, folder: Path) -> list[Path]:
    """What a picture shows, by the number with which pictures' names begin."""
    found = [path for one in pattern.split() for path in sorted(folder.glob(one), key=_number)]
    return [path for path in found if os.path.isfile(path)]


def _number(path: Path) -> tuple[int, str]:
    found = re.match(r"\d+", path.name)
    return (int(found[0]) if found else 0, path.name)
