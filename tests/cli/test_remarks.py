"""What `generate` says before it draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save_file

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


def test_generate_names_new_words_that_no_prompt_says(cli: Cli, real: Path, tmp_path: Path) -> None:
    rows = np.ones((1, 32), np.float32)
    save_file({"<said>": rows, "<unsaid>": rows}, tmp_path / "words.safetensors")
    word = ("--word", tmp_path / "words.safetensors", "--model", real, "--steps", 1)
    said = cli("generate", "a cat", "a <SAID> cat", *word)
    assert said.code == 0
    assert said.err.count("no prompt says") == 1
    assert "note: no prompt says <unsaid>; a new word is drawn where a prompt has it\n" in said.err
    assert "no prompt says" not in cli("generate", "a <said> cat", "--negative", "<unsaid>", *word).err


def test_words_in_a_lora_file_are_there_at_once(cli: Cli, real: Path, tmp_path: Path) -> None:
    sides = {"down": (2, 32), "up": (32, 2)}
    layer = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
    lora = {f"{layer}.lora_{side}.weight": np.ones(shape, np.float32) for side, shape in sides.items()}
    save_file(
        lora | {"bundle_emb.<gloss>.emb_params": np.ones((1, 32), np.float32)}, tmp_path / "a.safetensors"
    )
    said = cli(
        "generate", "a <gloss>", "--lora", tmp_path / "a.safetensors", "--model", real, "--steps", 1, "--json"
    )
    assert said.code == 0
    assert "<gloss>=" in said.out
