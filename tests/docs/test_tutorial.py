"""What the tutorial tells its readers to type is typed here, page by page, in order, each in an empty folder."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs.blocks import DOCS, PAGES, Block, blocks, files, is_slow, run, shown
from mezzotint.cli import command
from mezzotint.request import Request

BLOCKS = [block for page in PAGES for block in blocks(page)]
COMMANDS = [
    pytest.param(words, id=f"{block.page}-{block.line}-{number}")
    for block in BLOCKS
    if block.language == "bash"
    for number, words in enumerate(block.commands)
    if words[0] == "mezzotint"
]
MOST = 1_500_000  # bytes of all pictures


def parse(words: list[str]) -> dict[str, Any]:
    """The values of a command's options; an unknown command or option, or a value of the wrong kind, raises."""
    found, rest = command(), words[1:]
    while hasattr(found, "commands"):
        found, rest = found.commands[rest[0]], rest[1:]
    values: dict[str, Any] = found.make_context(words[0], rest).params
    return values


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_and_their_options_are_known(words: list[str]) -> None:
    values = parse(words)
    if "guidance" in values:
        said = {name: values[name] for name in ("guidance", "sampler", "steps") if values[name] is not None}
        Request(**said)


@pytest.mark.parametrize(
    "words", ["mezzotint generat", "mezzotint generate --stepz 3", "mezzotint bench --repeats x"]
)
def test_what_is_not_known_is_noticed(words: str) -> None:
    with pytest.raises(Exception, match=r"generat|stepz|integer"):
        parse(words.split())


def pages() -> Iterator[Any]:
    for page in PAGES:
        yield pytest.param(page, id=page.stem, marks=pytest.mark.slow if is_slow(page) else ())


@pytest.mark.processor
@pytest.mark.parametrize("page", pages())
def test_a_page_does_what_it_says_and_shows_what_it_made(page: Path, tmp_path: Path) -> None:
    run(page, tmp_path)
    for one in shown(page):
        assert files(one.glob, tmp_path), one


def test_a_failing_command_fails_its_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```bash\nmezzotint generate 'a cat' --steps 0\n```\n")
    with pytest.raises(RuntimeError, match="page, line 3: exit code 2"):
        run(page, tmp_path)


def test_python_is_whole_and_files_have_names() -> None:
    languages = {block.language for block in BLOCKS}
    assert languages <= {"bash", "python", "yaml"}
    for block in BLOCKS:
        if block.language == "python":
            ast.parse(block.text)
        assert block.title or block.language != "yaml", block


def test_most_of_what_is_shown_is_run() -> None:
    skipped = [block for block in BLOCKS if not block.runs]
    assert {block.page for block in skipped} <= {
        "index",
        "fine-tuning",
        "paper",
        "a-study",
        "real-checkpoints",
    }
    assert len(skipped) < len(BLOCKS) / 3


def test_all_pictures_are_there_made_and_small() -> None:
    made = {one.path.resolve() for page in PAGES for one in shown(page)}
    kept = set((DOCS / "tutorial/pictures").glob("*"))
    assert made == kept
    assert sum(path.stat().st_size for path in kept) < MOST


def test_a_block_is_read_as_it_stands(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '<!-- check only: why -->\n```bash\nmezzotint a \\\n  "b c"  # d\n```\n\n```yaml title="x.yaml"\ny: 1\n```\n'
    )
    first, second = blocks(page)
    assert first == Block("page", 2, "bash", "", 'mezzotint a \\\n  "b c"  # d\n', False)
    assert first.commands == [["mezzotint", "a", "b c"]]
    assert (second.title, second.text, second.runs) == ("x.yaml", "y: 1\n", True)
