"""The fine-tuning command: settings come together from a file and the line, and all is checked before any work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Cli


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a fine-tuning was started with."""
    import mezzotint.train.finetune.run as learning

    started: list[Any] = []

    def finetune(config: Any, command: list[str]) -> Path:
        started.append((config, command))
        return Path(config.out) / "model"

    monkeypatch.setattr(learning, "finetune", finetune)
    monkeypatch.setattr(learning, "prepare", lambda config: None)
    return started


def test_the_line_goes_before_the_file(cli: Cli, begun: list[Any]) -> None:
    Path("c.yaml").write_text("model: faces\ndata: d\nout: run\nlr: 1.0e-4\nbatch: 8\n")
    said = cli(
        "finetune",
        "--config",
        "c.yaml",
        "--lr",
        "0.5",
        "--no-hflip",
        "--prompt",
        "a cat",
        "--lora-targets",
        "to_q,to_k",
        "--lora",
        4,
    )
    assert said.code == 0 and said.lines == ["run/model", "run/report.html"]
    [(config, command)] = begun
    assert (config.lr, config.batch, config.hflip, config.prompts) == (0.5, 8, False, ("a cat",))
    assert config.lora_targets == ("to_q", "to_k")
    assert command[:5] == ["finetune", "--config", "c.yaml", "--lr", "0.5"]
    assert "--no-hflip" in command and command[command.index("--lora-targets") + 1] == "to_q,to_k"


def test_defaults_are_of_what_is_learned(cli: Cli, begun: list[Any]) -> None:
    words = ("finetune", "--model", "emoji", "--data", "d", "--out", "run")
    assert cli(*words).code == cli(*words, "--lora", 8).code == cli(*words, "--new-word", "<x>").code == 0
    assert [config.rate for config, _ in begun] == [1e-5, 1e-4, 5e-3]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--model is missing"),
        (("--schedule", "linaer"), "did you mean 'linear'?"),
        (("--epochs", "0"), "epochs is 0; it should be at least 1"),
        (("--lora", "4", "--new-word", "<x>"), "take one"),
        (("--template", "{word", "--new-word", "<x>"), "template"),
        (("--jobs", "2"), "--jobs is for a study"),
        (("--config", "none.yaml"), "cannot read none.yaml"),
        (("--word-from", "cat"), "word_from needs new_word"),
    ],
)
def test_what_is_wrong_is_one_line(cli: Cli, begun: list[Any], words: tuple[str, ...], said: str) -> None:
    usual = ("--model", "faces", "--data", "d", "--out", "run") if words else ()
    told = cli("finetune", *usual, *words)
    assert told.code == 2 and said in told.err
    assert begun == [] and not Path("run").exists()


def test_an_unknown_setting_in_a_file(cli: Cli, begun: list[Any]) -> None:
    Path("c.yaml").write_text("model: faces\ndata: d\nout: run\nepoch: 3\n")
    assert "unknown setting 'epoch'; did you mean 'epochs'?" in cli("finetune", "--config", "c.yaml").err


def test_a_study(cli: Cli, begun: list[Any]) -> None:
    Path("s.yaml").write_text("base: {model: faces, data: d, out: runs/s}\naxes: {lr: [1.0e-5, 1.0e-4]}\n")
    Path("runs/s").mkdir(parents=True)
    said = cli("finetune", "--grid", "s.yaml", "--epochs", 2)
    assert said.code == 0 and said.out == "runs/s/grid.html\n"
    assert [(config.lr, config.epochs) for config, _ in begun] == [(1e-5, 2), (1e-4, 2)]
    assert Path("runs/s/grid.html").exists()


@pytest.mark.parametrize("name", ["finetune-animals", "finetune-pixel-art"])
def test_shipped_configurations_are_read(name: str) -> None:
    from mezzotint.config import settings_in
    from mezzotint.train.finetune.config import parse_settings

    config = parse_settings(settings_in(Path(__file__).parents[2] / "configs" / f"{name}.yaml"))
    assert config.model in ("faces", "emoji")


def test_the_shipped_study_is_read() -> None:
    from mezzotint.train.finetune.grid import combinations

    assert len(combinations(Path(__file__).parents[2] / "configs" / "study-animals.yaml", {})) == 6


def test_the_shipped_study_of_the_style_asks_for_what_its_pictures_do_not_show() -> None:
    """The things are the ordinary ones; which of them `data subset` picks is told by the seed."""
    from mezzotint.data.compose import article_of
    from mezzotint.data.words import ORDINARY
    from mezzotint.study.spec import Study

    study = Study.read(Path(__file__).parents[2] / "configs" / "measure-pixel-art.yaml")
    asked = set(study.axes["thing"])
    assert asked < {article_of(name).replace("an unicorn", "a unicorn") for name in ORDINARY}
    assert len(asked) == len(ORDINARY) - 40
