"""What README and the reference say is typed here: run as written where it is quick, else parsed."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from docs.blocks import blocks
from mezzotint.cli import command, main

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
GUIDES = [ROOT / "docs" / f"{name}.md" for name in ("benchmarks", "fine-tuning", "training-the-bundle")]
PYTHON = [block for page in (README, ROOT / "docs/reference/python.md") for block in blocks(page)]
# Why a command is only parsed: by a word that it holds.
PARSED = {
    "runwayml/stable-diffusion-v1-5": "needs a hub",
    "style.safetensors:0.8": "the reader's own files",
    "bert-adapted": "loads torch and a BERT",
    "steps=1000": "more than a minute",
    "clip(": "steers, which loads torch",
    "-n": "many pictures; the same options run in the tutorial",
}
QUICK = ("generate", "latents", "replay", "samplers", "models", "recall")


def commands(page: Path = README) -> list[list[str]]:
    """Each command of an indented block of a page, its lines joined where they end in a backslash."""
    text = page.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.startswith("    ") and "mezzotint " in line]
    words = [shlex.split(part, comments=True) for line in lines for part in _parts(line)]
    return [one for one in words if one and one[0].endswith("mezzotint")]


def _parts(line: str) -> Iterator[str]:
    """`mezzotint samplers; mezzotint models` is two commands."""
    yield from line.strip().split("; ") if '"' not in line and "'" not in line else [line.strip()]


def runs(words: list[str]) -> bool:
    return words[1] in QUICK and not any(why in " ".join(words) for why in PARSED)


@pytest.mark.parametrize(
    "words",
    [words for page in (README, *GUIDES) for words in commands(page)],
    ids=lambda words: " ".join(words)[:60],
)
def test_readme_commands_parse(words: list[str]) -> None:
    found, rest = command(), words[1:]
    while hasattr(found, "commands"):
        found, rest = found.commands[rest[0]], rest[1:]
    found.make_context(words[0], rest)


def test_readme_quick_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (128, 128), "green").save("PHOTO", format="PNG")
    quick = [words for words in commands() if runs(words)]
    assert len(quick) >= 6
    for words in quick:
        if "out/PICTURE.png" in words:
            pictures = [path for path in Path("out").glob("0-a-racing*.png") if "trace" not in path.name]
            shutil.copy(pictures[0], "out/PICTURE.png")
        assert main(words[1:]) == 0, words


@pytest.mark.parametrize(
    "block", [b for b in PYTHON if b.language == "python"], ids=lambda b: f"{b.page}-{b.line}"
)
def test_python_of_readme_and_reference_runs(
    block: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block.text, f"{block.page}.md", "exec"), {"__name__": "__main__"})
    assert list(tmp_path.glob("*.png"))
