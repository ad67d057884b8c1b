"""Data and training: the right function is called, and what is missing is named."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from mezzotint.data import emoji

if TYPE_CHECKING:
    from conftest import Cli

YAML = "data: d\nvae: v\ntext: t\nlatents: l\nout: o\nloop: {steps: 9, minutes: 4}\n"


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Configurations that a training was started with; the module is a stand-in that does not import torch."""
    from mezzotint.config import Config
    from mezzotint.train.config import LoopConfig

    class DiffusionConfig(Config):
        data: Path
        vae: Path
        text: Path
        latents: Path
        out: Path
        loop: LoopConfig

    started: list[Any] = []
    module: Any = ModuleType("mezzotint.train.diffusion")
    module.DiffusionConfig, module.train_diffusion = DiffusionConfig, started.append
    monkeypatch.setitem(sys.modules, "mezzotint.train.diffusion", module)
    return started


def test_a_configuration_is_trained(cli: Cli, trained: list[Any]) -> None:
    Path("c.yaml").write_text(YAML)
    assert cli("train", "diffusion", "c.yaml").code == 0
    assert cli("train", "diffusion", "c.yaml", "--minutes", "0.5").code == 0
    assert [(config.loop.steps, config.loop.minutes) for config in trained] == [(9, 4), (9, 0.5)]


def test_an_unknown_setting_names_the_nearest(cli: Cli, trained: list[Any]) -> None:
    Path("c.yaml").write_text(YAML.replace("steps", "stesp"))
    said = cli("train", "diffusion", "c.yaml")
    assert said.code == 2
    assert "did you mean 'steps'?" in said.err
    assert trained == []


def test_a_missing_file(cli: Cli, trained: list[Any]) -> None:
    assert "cannot read none.yaml" in cli("train", "diffusion", "none.yaml").err


@pytest.mark.parametrize("what", ["vae", "clip", "diffusion", "ddpm"])
def test_a_missing_extra_says_what_to_install(cli: Cli, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith("mezzotint.train.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    said = cli("train", what, "c.yaml")
    assert said.code == 2
    assert said.err == 'error: this needs torch; pip install "mezzotint[train]"\n'


def test_data(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Any] = []

    def build(folder: Path, cache: Path, progress: Any, size: int) -> int:
        progress("rendering noto")
        built.append((folder, cache))
        return 3

    monkeypatch.setattr(emoji, "build", build)
    said = cli("data", "emoji", "d/emoji", "--cache", "npm")
    assert (said.code, said.out, said.err) == (0, "d/emoji: 3 pictures\n", "rendering noto\n")
    cli("data", "emoji", "d/emoji")
    assert built == [(Path("d/emoji"), Path("npm")), (Path("d/emoji"), Path.cwd() / "d/emoji-packages")]


def test_data_without_npm(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    said = cli("data", "emoji", "new")
    assert said.code == 2
    assert "npm was not found" in said.err
    assert not Path("new").exists()


def test_the_regularizer_is_taken_from_the_command_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from mezzotint.config import Config

    class VaeConfig(Config):
        out: Path = Path("run")
        regularizer: str = "kl"

    started: list[Any] = []
    module: Any = ModuleType("mezzotint.train.vae")
    module.VaeConfig, module.train_vae = VaeConfig, started.append
    monkeypatch.setitem(sys.modules, "mezzotint.train.vae", module)
    Path("c.yaml").write_text("{}")
    assert (
        cli("train", "vae", "c.yaml").code == cli("train", "vae", "c.yaml", "--regularizer", "vq").code == 0
    )
    assert [config.regularizer for config in started] == ["kl", "vq"]
    assert cli("train", "vae", "c.yaml", "--regularizer", "gan").code == 2
