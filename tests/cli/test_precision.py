"""`--precision` is one option in all commands that compute; its former names are understood."""

from __future__ import annotations

from typing import Any

import pytest

from mezzotint.cli import command, main

COMMANDS = [
    "generate a", "replay a.png", "eval", "bench", "bench-training", "finetune", "paper", "study run a.yaml",
    "study tune a.yaml --metric x",
    *(f"train {name} a.yaml" for name in ("vae", "clip", "diffusion", "bundle", "ddpm", "adapter", "decoder", "style")),
]  # fmt: skip


@pytest.mark.parametrize("line", COMMANDS)
@pytest.mark.parametrize(
    ("option", "name"), [("--precision", "fp32"), ("--dtype", "float32"), ("--mixed-precision", "no")]
)
def test_precision_and_its_former_names_mean_the_same(line: str, option: str, name: str) -> None:
    words, found = line.split(), command()
    while isinstance(commands := getattr(found, "commands", None), dict):
        found, words = commands[words[0]], words[1:]
    values: dict[str, Any] = found.make_context("x", [*words, option, name]).params
    assert values["precision"] == "fp32"


@pytest.mark.parametrize("line", COMMANDS)
def test_wrong_precision_is_one_line_before_any_work(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*line.split(), "--precision", "fp23"]) == 2
    [error] = capsys.readouterr().err.splitlines()
    assert "it can be auto, fp32, bf16, fp16" in error
