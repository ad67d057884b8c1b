"""`--precision` is one option in all commands that compute; its former names are understood."""

from __future__ import annotations

from typing import Any

import pytest
from typer.main import get_command

from mezzotint.cli import app, main

COMMANDS = [
    "generate a", "replay a.png", "eval", "bench", "bench-training", "finetune", "paper", "study run a.yaml",
    "study tune a.yaml --metric x",
    *(f"train {name} a.yaml" for name in ("vae", "clip", "diffusion", "bundle", "ddpm", "adapter", "decoder", "style")),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("option", "name"), [("--precision", "fp32"), ("--dtype", "float32"), ("--mixed-precision", "no")]
)
def test_precision_and_its_former_names_mean_the_same(command: str, option: str, name: str) -> None:
    words, found = command.split(), get_command(app)
    while isinstance(commands := getattr(found, "commands", None), dict):
        found, words = commands[words[0]], words[1:]
    values: dict[str, Any] = found.make_context("x", [*words, option, name]).params
    assert values["precision"] == "fp32"


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_precision_is_one_line_before_any_work(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.split(), "--precision", "fp23"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "it can be auto, fp32, bf16, fp16" in line
