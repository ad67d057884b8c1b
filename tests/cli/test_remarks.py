"""What `generate` says before it draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save_file

from mezzotint.cli import options
from mezzotint.cli.remarks import remarks
from mezzotint.expressions import parse_words
from mezzotint.request import Request

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Cli, Model


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["a clock (showing 10:10)"],
            '"showing 10" weighs 10; where the parentheses are text, write \\( and \\)',
        ),
        (["a (red:-1) cat"], '"red" weighs -1'),
        (["a cat", "--negative", "(blur:3)"], '"blur" weighs 3'),
        (
            ["a cat <lora:pixel:0.8>"],
            '"<lora:pixel:0.8>" is read as text; give the file with --lora FILE:WEIGHT',
        ),
        (["a cat BREAK a dog"], '"BREAK" is read as text'),
        (["a cat AND a dog"], '"AND" is read as text; mix prompts'),
        (["a [cat:dog:0.5]"], '"[cat:dog:0.5]" is read as text; a prompt stays the same at every step'),
        (["a [cat|dog]"], '"[cat|dog]" is read as text'),
        (["a ((red)) cat"], '"((red))" is read as text; write (words:1.2)'),
        (
            ["a cat", "--guidance", "cfg(0)"],
            "cfg(0) leaves the prompt unread, as its formula says; --cfg 0 is",
        ),
        (["einstein"], "emoji knows no word of 'einstein'; what it knows: mezzotint models emoji --words"),
    ],
)
def test_generate_says_what_is_not_read_as_it_may_be_meant(
    cli: Cli, toy: Model, words: list[str], line: str
) -> None:
    said = cli("generate", *words, "--steps", 2)
    assert said.code == 0
    assert said.err.startswith(f"note: {line}")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["Red Rose (still life), a cat and a dog at 10:10"],
        ["a (red:1.3) cat"],
        [r"a clock \(showing 10:10\)"],
        ["a cat", "--cfg", "0"],
        ["a cat", "--guidance", "cfg(0)", "--compat", "diffusers"],
        ["einstein", "--model", "other"],
    ],
)
def test_generate_says_nothing_of_what_is_read_as_it_is_written(
    cli: Cli, toy: Model, words: list[str]
) -> None:
    said = cli("generate", *words, "--steps", 2)
    assert (said.code, said.err) == (0, "")


def test_generate_says_a_thing_once_and_not_without_end(cli: Cli, toy: Model) -> None:
    prompts = [f"a cat ({word}:3)" for word in "abcdefgh"]
    said = cli("generate", *prompts, "--steps", 2, "-n", 2)
    lines = said.err.splitlines()
    assert len(lines) == 6
    assert lines[-1] == "note: and 3 more on other prompts"


def test_remarks_name_new_words_that_no_prompt_says() -> None:
    words = f"<said>={'a' * 64} <unsaid>={'b' * 64}"
    both = [Request("a cat", words=words), Request("a <SAID> cat", words=words)]
    line = "no prompt says <unsaid>; a new word is drawn where a prompt has it"
    assert remarks(both, None, "x") == [line]
    assert remarks([*both, Request("a cat", negative_prompt="<unsaid>", words=words)], None, "x") == []


def test_words_in_a_lora_file_are_a_requests_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for those that are given by name, with a file of their own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = np.ones((1, 32), np.float32)
    save_file(
        {f"bundle_emb.{name}.emb_params": rows for name in ("<a>", "<b>")}, tmp_path / "lora.safetensors"
    )
    save_file({"<b>": 2 * rows}, tmp_path / "b.safetensors")
    brought = parse_words(options.parse_words([], [f"{tmp_path / 'lora.safetensors'}:0.5"]))
    assert [word.name for word in brought] == ["<a>", "<b>"]
    own = options.parse_words([str(tmp_path / "b.safetensors")])
    given = options.parse_words([str(tmp_path / "b.safetensors")], [str(tmp_path / "lora.safetensors")])
    assert own in given and str(brought[0]) in given and str(brought[1]) not in given
